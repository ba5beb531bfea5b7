"""How a talk is kept: what kind of message came, about whom, what it answers, and what to ask next."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from knowledge.conversation import MAX_QUESTION_CHARS, MEDICAL_KINDS, SELF, Conversation, FollowUp, Turn
from knowledge.departments import Department
from knowledge.errors import InvalidQuestion
from knowledge.guidelines import SECTIONS
from knowledge.intake import load_intake
from knowledge.messages import load_messages
from knowledge.records import Language
from knowledge.replies import CitedAnswer, MessageReply, TriageDecision
from knowledge.urgency import UrgencyLevel
from rag.follow_up import Situation, next_question, put
from rag.intake import IntakeReader
from rag.messages import MessageSorter
from rag.near_flags import WeighedSign, missing_facts, weighed_signs
from rag.passage_index import PassageIndex
from rag.red_flag_matcher import Findings, RedFlagMatcher
from rag.statements import BETWEEN, QuestionBank, answered, level_forced_by, option_of
from rag.who_is_ill import turned_to
from rag.wording import normalise

_ASKS = re.compile(
    r"[?？]|吗|呢|么|怎么|多久|什么|哪些|能不能|要不要|会不会|可不可以|需不需要|为什么|"
    r"^\s*(?:is|are|can|could|should|do|does|will|would|how|what|why|when|which|where|may)\b"
)
_STATED_BY_SIGN = frozenset({"diet_question", "follow_up_word"})


@dataclass(frozen=True)
class Dialogue:
    """The rules of the talk. Holds no conversation."""

    matcher: RedFlagMatcher
    bank: QuestionBank
    sorter: MessageSorter
    intake: IntakeReader
    index: PassageIndex
    _guides: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict, compare=False)

    def heard(self, conversation: Conversation, text: str, language: Language | None) -> Conversation:
        """The conversation with the message added: to whose episode, as an answer or not, of which kind."""
        turn = answered(text, conversation.pending, self.bank, self._words_for(conversation))
        spoken = language or (conversation.language if turn.answers and conversation.language else language_of(text))
        if turn.answers is None:
            alone = self.matcher.read(text)
            kind = self.sorter.kind_of(alone)
            turn = replace(turn, kind=kind)
            if kind in MEDICAL_KINDS:
                conversation = turned_to(conversation, alone)
        episode = conversation.episode
        pending = None if turn.kind in MEDICAL_KINDS else conversation.pending
        return replace(
            conversation.with_episode(replace(episode, turns=(*episode.turns, turn))), language=spoken, pending=pending
        )

    def calm_reply(self, conversation: Conversation, language: Language, writer: str) -> MessageReply | None:
        """The words of their own that the last message's kind gets; None for a complaint."""
        kind = conversation.turns[-1].kind
        if kind == "medical":
            return None
        messages = self.sorter.messages
        text = messages.of(kind).reply.in_language(language).replace("{writer}", writer)
        if kind not in MEDICAL_KINDS and conversation.urgency >= UrgencyLevel.III:
            held = conversation.urgency.title(language)
            text += ("" if language == "zh" else " ") + messages.still_holds.in_language(language).replace("{urgency}", held)
        return MessageReply(kind, text)

    def level_answered(self, conversation: Conversation) -> UrgencyLevel:
        """The highest level that tapped answers force by themselves."""
        options = (option_of(turn, self.bank) for turn in conversation.turns)
        return max([level_forced_by(option) for option in options if option], default=UrgencyLevel.HOME)

    def effects(self, conversation: Conversation) -> dict[str, float]:
        """Change of each department's log-odds by the answers so far."""
        effects: dict[str, float] = {}
        for turn in conversation.turns:
            option = option_of(turn, self.bank)
            for department_id, effect in (option.effect if option else {}).items():
                effects[department_id] = effects.get(department_id, 0.0) + effect
        return effects

    def asked_about(self, conversation: Conversation, language: Language) -> str:
        """What the guidance is searched for: the complaint; for a question without a subject, what was spoken of and the question."""
        episode = conversation.episode
        last = episode.turns[-1]
        if last.answers is not None or not _ASKS.search(last.text.strip().casefold()):
            return episode.complaint()
        told = [turn for turn in episode.turns if turn.answers is None and turn.kind in MEDICAL_KINDS]
        subject = self._subject(conversation, language)
        if not subject or self._has_subject(last.text):
            return last.text if len(told) > 1 else episode.complaint()
        return f"{subject}{last.text}" if language == "zh" else f"{subject}: {last.text}"

    def _has_subject(self, text: str) -> bool:
        """Whether a question names what it is about: a sign, or the title of a guide."""
        found = self.matcher.read(text)
        neutral = self.sorter.messages.neutral.both()
        named = any(
            mention.sign_id not in _STATED_BY_SIGN and mention.words not in neutral and len(mention.words) > 1
            for mention in found.mentions
        )
        return named or any(title in found.text for title in self._titles())

    def _subject(self, conversation: Conversation, language: Language) -> str:
        """What was spoken of before the last turn: the guide's title, else the complaint's first words; a former patient's for a new one."""
        episode = conversation.episode
        earlier = [*conversation.others[::-1]] if len(episode.turns) == 1 else []
        for candidate in [episode, *earlier]:
            title = self._title(candidate.topic, language)
            if title:
                return title
            told = replace(candidate, turns=candidate.turns[:-1] if candidate is episode else candidate.turns).complaint()
            if told:
                return told.splitlines()[0][:60]
        return ""

    def _title(self, source_id: str, language: Language) -> str:
        if not source_id:
            return ""
        rows = self.index.rows_where(
            lambda passage: passage.source_id == source_id and passage.language == language and passage.kind == "guide"
        )
        return self.index.passages[rows[0]].title if len(rows) else ""

    def _titles(self) -> frozenset[str]:
        if ("titles", "") not in self._guides:
            rows = self.index.rows_where(lambda passage: passage.kind == "guide")
            self._guides["titles", ""] = frozenset(normalise(self.index.passages[row].title) for row in rows)
        return self._guides["titles", ""]

    def topic_of(self, answer: object, before: str) -> str:
        """The source id of the guide an answer quotes first; what was spoken of before where it quotes none."""
        if not isinstance(answer, CitedAnswer):
            return before
        guides = {passage.source_id for passage in self.index.passages if passage.kind == "guide"}
        return next((found.source_id for found in answer.citations if found.source_id in guides), before)

    def near(self, conversation: Conversation, findings: Findings) -> list[WeighedSign]:
        """The danger signs that one fact keeps from raising a flag, weightiest first, none of them asked before."""
        asked = [sign.id for question in conversation.asked for sign in self.bank.signs_of(question)]
        missing = missing_facts(self.matcher, findings)
        in_guide = self._danger_signs_in(conversation.episode.topic)
        return weighed_signs(self.bank.intake.danger_signs, missing, findings, in_guide, asked)

    def _danger_signs_in(self, source_id: str) -> frozenset[str]:
        """Ids of the signs that the danger section of a guide names."""
        if (source_id, "danger") not in self._guides:
            rows = self.index.rows_where(
                lambda passage: passage.source_id == source_id and passage.section in SECTIONS["danger"]
            )
            text = "\n".join(self.index.passages[row].text for row in rows)
            self._guides[source_id, "danger"] = frozenset(self.matcher.affirmed_in(normalise(text)))
        return self._guides[source_id, "danger"]

    def ask(
        self,
        conversation: Conversation,
        findings: Findings,
        triage: TriageDecision,
        near: Sequence[WeighedSign],
        would_be: Callable[[str], TriageDecision],
        language: Language,
    ) -> FollowUp | None:
        """The next closed question; for a patient named without any complaint, whether it is the former's trouble."""
        episode = conversation.episode
        if conversation.others and len(episode.turns) == 1 and not findings.affirmed:
            former = max(place for place in range(len(conversation.episodes)) if place != conversation.current)
            question = self.bank.intake.same_complaint
            return put(question, language, f"{question.id}{BETWEEN}{former}")
        missing = missing_facts(self.matcher, findings)
        return next_question(Situation(findings, triage, episode, missing, near, would_be), self.bank, language)

    def _words_for(self, conversation: Conversation) -> dict[str, str]:
        """What {sign} and {signs} stand for in the statements of the pending question's options."""
        name, _, about = (conversation.pending.question_id if conversation.pending else "").partition(BETWEEN)
        if name == self.bank.intake.same_complaint.id and about.isdigit() and int(about) < len(conversation.episodes):
            former = self.matcher.read(conversation.episodes[int(about)].said())
            signs = [mention for mention in former.affirmed.values() if self._is_felt(mention.sign_id)]
            return {"signs": "，".join(dict.fromkeys(mention.words for mention in signs))}
        if name == "intake_duration" and about:
            affirmed = self.matcher.read(conversation.said()).affirmed
            return {"sign": affirmed[about].words if about in affirmed else ""}
        return {}

    def _is_felt(self, sign_id: str) -> bool:
        sign = self.matcher.signs.get(sign_id)
        return sign is not None and sign.kind == "sign"


def load_dialogue(matcher: RedFlagMatcher, departments: dict[str, Department], index: PassageIndex) -> Dialogue:
    """The dialogue over the shipped questions and messages. Raises InvalidKnowledge when a record is broken."""
    intake = load_intake()
    return Dialogue(matcher, QuestionBank(departments, intake), MessageSorter(load_messages()), IntakeReader(intake), index)


def checked(text: str) -> str:
    """The text, if it can be a question."""
    if not text.strip():
        raise InvalidQuestion("the question is empty; say in a sentence what is wrong")
    if len(text) > MAX_QUESTION_CHARS:
        raise InvalidQuestion(
            f"the question has {len(text):,} characters; at most {MAX_QUESTION_CHARS:,}, so tell the main complaint first"
        )
    return text


def language_of(text: str) -> Language:
    """The language to reply in: Chinese as soon as a Chinese character is there."""
    return "zh" if any("\u3400" <= character <= "\u9fff" for character in text) else "en"


def reply_language(text: str, conversation: Conversation) -> Language:
    """The language a message is replied to in: its own; a tapped option keeps the conversation's."""
    tapped = conversation.pending is not None and text.strip() in conversation.pending.options
    return conversation.language if conversation.language and tapped else language_of(text)


__all__ = ["SELF", "Dialogue", "Turn", "checked", "language_of", "load_dialogue", "reply_language"]
