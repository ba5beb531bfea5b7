"""A reply as a chat client shows it: readable text, piece by piece, and the `daozhen` object for programs."""

from __future__ import annotations

import re
from typing import Any

from knowledge.conversation import FollowUp
from knowledge.records import Language
from knowledge.replies import (
    Abstention,
    AnswerPiece,
    AnswerSentence,
    AssistantReply,
    CitedAnswer,
    MessageReply,
    TriageDecision,
)
from rag.assistant import ReplyPart
from ui.ask_command import talk_as_json
from ui.reply_text import WORDS, card_as_text, question_as_lines, sources_as_lines, triage_as_lines

_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+|[^\w\s]")
_CORRECTED = {
    "zh": "以下是核对后的完整回答，以它为准：",
    "en": "This is the answer in full after the checks; it takes the place of what stands above:",
}


def count_tokens(text: str) -> int:
    """What `usage` counts: Chinese characters, words of other scripts, and marks. No model's own count is meant."""
    return sum(1 for _ in _TOKEN.finditer(text))


class ReplyContent:
    """The text of one reply. Calm words and the urgency are always said whole; max_tokens cuts, at a line's end, what follows.

    The same parts make the same text, streamed or not.
    """

    def __init__(self, language: Language, max_tokens: int | None = None) -> None:
        self.language, self.max_tokens = language, max_tokens
        self.tokens = 0
        self.is_cut = False
        self._said_anything = False
        self._sentences: list[AnswerSentence] = []
        self._asked = False

    def of(self, part: ReplyPart) -> str:
        """What a part adds to the text; empty where nothing."""
        words = WORDS[self.language]
        if isinstance(part, MessageReply):
            return self._say(part.text, always=True)
        if isinstance(part, TriageDecision):
            return self._say("\n".join(triage_as_lines(part, self.language)), always=True)
        if isinstance(part, AnswerPiece):
            return self._sentence(part.sentence)
        if isinstance(part, CitedAnswer):
            return self._whole(part)
        if isinstance(part, Abstention):
            return self._say(f"{words['answer']}:\n{part.text}")
        if isinstance(part, FollowUp):
            return self._question(part)
        return self._close(part)

    def _sentence(self, sentence: AnswerSentence) -> str:
        first = not self._sentences
        self._sentences.append(sentence)
        line = sentence.as_read
        return self._say(f"{WORDS[self.language]['answer']}:\n{line}") if first else self._say(line, "\n")

    def _whole(self, answer: CitedAnswer) -> str:
        """What of the answer is not said yet, a note if there is one, and the sources."""
        said = ""
        if tuple(self._sentences) != answer.sentences[: len(self._sentences)]:  # a model's sentences were taken back
            said += self._say(_CORRECTED[self.language])
            self._sentences = []
        for sentence in answer.sentences[len(self._sentences) :]:
            said += self._sentence(sentence)
        if answer.note:
            said += self._say(answer.note)
        return said + self._say("\n".join(sources_as_lines(answer, self.language)).strip())

    def _question(self, question: FollowUp) -> str:
        self._asked = True
        return self._say("\n".join(question_as_lines(question, self.language)).strip())

    def _close(self, reply: AssistantReply) -> str:
        said = self._question(reply.follow_up) if reply.follow_up and not self._asked else ""
        if reply.card is not None:
            said += self._say(card_as_text(reply.card, reply.language))
        return said + self._say(WORDS[self.language]["notice"]) if reply.is_medical else said

    def _say(self, text: str, after: str = "\n\n", always: bool = False) -> str:
        if self.is_cut and not always:
            return ""
        tokens = count_tokens(text)
        if not always and self.max_tokens is not None and self.tokens + tokens > self.max_tokens:
            self.is_cut = True
            return ""
        self.tokens += tokens
        text = f"{after}{text}" if self._said_anything else text
        self._said_anything = True
        return text


def triage_as_json(triage: TriageDecision, language: Language) -> dict[str, Any]:
    """Urgency, departments and red flags for programs."""
    return {
        "urgency": triage.urgency.label,
        "instruction": triage.urgency.instruction(language),
        "reasons": [reason.text for reason in triage.reasons],
        "departments": [entry.as_json() for entry in triage.suggested],
        "red_flags": [flag.id for flag in triage.red_flags],
    }


def extension_of(reply: AssistantReply) -> dict[str, Any]:
    """The `daozhen` object of a reply. triage is null as long as nothing about an illness was told: that is no level."""
    told = talk_as_json(reply)
    was_told = reply.conversation.episode.was_told()
    return {
        "triage": triage_as_json(reply.triage, reply.language) if was_told else None,
        "language": reply.language,
        **{key: told[key] for key in ("kind", "message", "answer", "abstained", "citations", "follow_up")},
        **{key: told[key] for key in ("card", "hand_off", "conversation")},
    }
