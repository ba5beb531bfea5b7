"""The story: what a patient says, how urgent it is, where to go, what the evidence says, what to ask next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from knowledge.departments import load_departments
from knowledge.errors import IndexDamaged, InvalidQuestion
from knowledge.hospital import load_hospital, with_hospital_flags
from knowledge.records import Language
from knowledge.replies import (
    MAX_QUESTION_CHARS,
    Abstention,
    AssistantReply,
    CitedAnswer,
    Conversation,
    FollowUp,
    TriageDecision,
    Turn,
)
from knowledge.self_care import load_self_care
from knowledge.urgency import UrgencyLevel
from rag.answering import Asked, answer_from_passages, joined, red_flag_advice
from rag.chat_models import load_writer
from rag.config import Settings, load_settings
from rag.embedder import Embedder, load_embedder
from rag.follow_up import chosen_option, next_question
from rag.passage_index import REBUILD, PassageIndex
from rag.red_flag_matcher import RedFlagMatcher
from rag.retriever import HybridSearch
from rag.routing import DepartmentScore, RoutingIndex
from rag.triage import TriageContext, decide_triage
from rag.writers import Writer

ReplyPart = TriageDecision | CitedAnswer | Abstention | FollowUp | AssistantReply
_YES = {"是", "有", "会", "对", "yes"}


@dataclass(frozen=True)
class Assistant:
    """Answers patients. Holds no conversation: each reply hands back the conversation it makes."""

    matcher: RedFlagMatcher
    routing: RoutingIndex
    search: HybridSearch
    context: TriageContext
    writer: Writer
    settings: Settings

    def reply(
        self, text: str, conversation: Conversation | None = None, language: Language | None = None
    ) -> AssistantReply:
        """The whole reply to one message. Raises InvalidQuestion when it is empty or longer than 4,000 characters."""
        for part in self.stream(text, conversation, language):
            if isinstance(part, AssistantReply):
                return part
        raise RuntimeError("a stream of parts always ends with the reply")

    def stream(
        self, text: str, conversation: Conversation | None = None, language: Language | None = None
    ) -> Iterator[ReplyPart]:
        """The parts of the reply as they are ready: triage, answer, the question if any, and last the reply itself."""
        conversation = _with_turn(conversation or Conversation(), checked(text), language)
        spoken = conversation.language or "zh"
        triage = self._triage(conversation, spoken)
        yield triage
        answer = self._answer(conversation, triage, spoken)
        yield answer
        question = next_question(triage.departments, triage.urgency, conversation, spoken)
        if question is not None:
            yield question
        asked = (*conversation.asked, question.question_id) if question else conversation.asked
        after = replace(conversation, urgency=triage.urgency, asked=asked, pending=question)
        yield AssistantReply(spoken, triage, answer, question, after)

    def _triage(self, conversation: Conversation, language: Language) -> TriageDecision:
        findings = self.matcher.read(self._said(conversation))
        scores = self._scores(conversation)
        return decide_triage(findings, scores, conversation.urgency, self.context, language)

    def _answer(
        self, conversation: Conversation, triage: TriageDecision, language: Language
    ) -> CitedAnswer | Abstention:
        advice = red_flag_advice(triage.red_flags, language, self.settings.locale)
        if advice and triage.urgency >= UrgencyLevel.II:
            return advice  # the red flags' own words, cited; nothing else until the patient is safe
        question = "\n".join(turn.text for turn in conversation.turns if turn.answers is None)
        k = self.settings.passages_per_answer
        asked = Asked(question, language, triage.urgency, triage.departments, told=question)
        *_, answer = answer_from_passages(asked, self.search, self.writer, k)
        return joined(advice, answer) if advice and triage.urgency is UrgencyLevel.III else answer

    def _scores(self, conversation: Conversation) -> list[DepartmentScore]:
        """Evidence for each department in the patient's words, moved by what was answered to closed questions."""
        words = "\n".join(turn.text for turn in conversation.turns if turn.answers is None)
        effects: dict[str, float] = {}
        for turn in conversation.turns:
            option = chosen_option(turn.text, turn.answers, self.context.departments)
            for department_id, effect in (option.effect if option else {}).items():
                effects[department_id] = effects.get(department_id, 0.0) + effect
        query = self.search.embedder.encode_queries([words])[0]
        return [
            replace(score, log_odds=score.log_odds + effects.get(score.department_id, 0.0))
            for score in self.routing.scores(words, query)
        ]

    def _said(self, conversation: Conversation) -> str:
        """Everything the patient has said; a "yes" says what its question asked."""
        lines = []
        for turn in conversation.turns:
            says_yes = turn.answers is not None and turn.text.strip().casefold() in _YES
            lines.append(f"{turn.answers.question.rstrip('？?')}。" if says_yes and turn.answers else turn.text)
        return "\n".join(lines)


def load_assistant(settings: Settings | None = None, writer: Writer | None = None) -> Assistant:
    """The assistant over the index in DAOZHEN_HOME.

    Raises IndexMissing naming the command that builds it, IndexDamaged when it cannot be trusted,
    InvalidKnowledge when a record, a red flag above all, is broken.
    """
    settings = settings or load_settings()
    departments = load_departments()
    hospital_dir = settings.hospital_path
    flags, signs = with_hospital_flags(hospital_dir)
    search = open_search(settings)
    return Assistant(
        matcher=RedFlagMatcher(flags, signs),
        routing=RoutingIndex.load(search.index.folder / "routing"),
        search=search,
        context=TriageContext(departments, load_hospital(hospital_dir, tuple(departments)), load_self_care()),
        writer=writer or load_writer(settings),
        settings=settings,
    )


def open_search(settings: Settings) -> HybridSearch:
    """The index in DAOZHEN_HOME and the embedder it was built with."""
    embedder = embedder_for(settings)
    index = PassageIndex.open(settings.index_dir)
    if index.manifest.embedder_fingerprint != embedder.fingerprint:
        made, here = index.manifest, embedder
        raise IndexDamaged(
            f"{index.folder}: built by embedder {made.embedder} ({made.embedder_fingerprint[:8]}), "
            f"the settings name {here.name} ({here.fingerprint[:8]}); {REBUILD}"
        )
    return HybridSearch(index, embedder)


def embedder_for(settings: Settings) -> Embedder:
    """The embedder the settings name; the shipped one by default."""
    return load_embedder(
        Path(settings.embedder).expanduser()
        if settings.embedder and Path(settings.embedder).expanduser().exists()
        else settings.embedder or None,
        query_prefix=settings.query_prefix or None,
        passage_prefix=settings.passage_prefix or None,
        allow_download=settings.allow_download,
    )


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
    return conversation.language if conversation.language and _is_tapped(text, conversation) else language_of(text)


def _is_tapped(text: str, conversation: Conversation) -> bool:
    return conversation.pending is not None and text.strip() in conversation.pending.options


def _with_turn(conversation: Conversation, text: str, language: Language | None) -> Conversation:
    answers = conversation.pending if _is_tapped(text, conversation) else None
    spoken = language or reply_language(text, conversation)
    return replace(conversation, turns=(*conversation.turns, Turn(text, answers)), language=spoken, pending=None)
