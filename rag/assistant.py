"""The story: what a patient says, how urgent it is, where to go, what the evidence says, what to ask next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from knowledge.conversation import MEDICAL_KINDS, Conversation, FollowUp
from knowledge.departments import load_departments
from knowledge.hospital import load_hospital, with_hospital_flags
from knowledge.records import Language
from knowledge.replies import (
    Abstention,
    AnswerPiece,
    AssistantReply,
    CitedAnswer,
    HandOffNote,
    MessageReply,
    TriageDecision,
)
from knowledge.self_care import load_self_care
from knowledge.urgency import UrgencyLevel
from rag.answering import Asked, answer_from_passages, following, level_advice, red_flag_advice
from rag.card import hand_off_note, triage_card
from rag.case_features import Reader
from rag.chat_models import load_writer
from rag.config import Settings, load_settings
from rag.dialogue import Dialogue, checked, load_dialogue
from rag.from_settings import open_search
from rag.learned_routing import LearnedRouting, combined
from rag.learned_store import load_or_warn
from rag.passage_index import ROUTING
from rag.pointed_questions import complaint_in
from rag.prepared import use_prepared
from rag.red_flag_matcher import Findings, RedFlagMatcher
from rag.retriever import HybridSearch
from rag.routing import NAMED_GUIDE, DepartmentScore, RoutingIndex
from rag.triage import TriageContext, decide_triage, minor_complaint, nothing_told
from rag.writers import Writer

ReplyPart = TriageDecision | AnswerPiece | CitedAnswer | Abstention | FollowUp | AssistantReply


@dataclass(frozen=True)
class Assistant:
    """Answers patients. Holds no conversation: each reply hands back the conversation it makes."""

    matcher: RedFlagMatcher
    routing: RoutingIndex
    search: HybridSearch
    context: TriageContext
    dialogue: Dialogue
    writer: Writer
    settings: Settings
    learned: LearnedRouting | None = None  # a hospital's own routing, from its solved cases

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
        """The parts of the reply as they are ready: calm words if any, triage, answer, the question if any, last the reply.

        A message that is no complaint gets its calm words and the reply alone.
        """
        conversation = self.dialogue.heard(conversation or Conversation(), checked(text), language)
        spoken = conversation.language or "zh"
        message = self.dialogue.calm_reply(conversation, spoken, self.writer.name)
        if message is not None:
            yield message
            if message.kind not in MEDICAL_KINDS:
                yield self._small_talk(conversation, message, spoken)
                return
        findings = self.matcher.read(conversation.said())
        scores = self._scores(conversation)
        triage = self._triage(findings, scores, conversation, spoken)
        yield triage
        answer = yield from self._answer(conversation, triage, spoken)
        yield answer
        conversation = self._after(conversation, findings, triage, answer)
        would_be = self._would_be(scores, conversation, spoken)
        question = self.dialogue.ask(conversation, findings, triage, would_be, spoken)
        if question is not None:
            yield question
            conversation = _with_question(conversation, question)
            yield AssistantReply(spoken, triage, answer, question, conversation, message)
            return
        near = self.dialogue.near(conversation, findings, asked_too=True)
        minor = minor_complaint(findings, self.context.self_care)
        card = triage_card(conversation, triage, answer, near, minor, spoken)
        note = self._note(conversation, triage, findings, spoken)
        yield AssistantReply(spoken, triage, answer, None, conversation, message, card, note)

    def current(self) -> Assistant:
        """The same assistant over the one generation that serves now: a reply, its citations and their pages are of it."""
        return replace(self, search=self.search.current())

    @property
    def generation(self) -> str:
        """The name of the index's generation that serves now."""
        return self.search.index.manifest.generation

    def hand_off(self, conversation: Conversation, language: Language) -> HandOffNote:
        """The note for the nurse on the patient being talked about, in the nurse's language, whatever the patient's."""
        findings = self.matcher.read(conversation.said())
        triage = self._triage(findings, self._scores(conversation), conversation, language)
        return self._note(conversation, triage, findings, language)

    def _triage(
        self, findings: Findings, scores: list[DepartmentScore], conversation: Conversation, language: Language
    ) -> TriageDecision:
        so_far = max(conversation.urgency, self.dialogue.level_answered(conversation))
        before = [self.matcher.flags[name] for name in conversation.episode.flags if name in self.matcher.flags]
        return decide_triage(findings, scores, so_far, self.context, language, before)

    def _would_be(
        self, scores: list[DepartmentScore], conversation: Conversation, language: Language
    ) -> Callable[[str], TriageDecision]:
        """The decision had the patient also said that."""
        said = conversation.said()
        return lambda more: self._triage(self.matcher.read(f"{said}\n{more}"), scores, conversation, language)

    def _answer(
        self, conversation: Conversation, triage: TriageDecision, language: Language
    ) -> Generator[AnswerPiece, None, CitedAnswer | Abstention]:
        """The answer's sentences as they pass the gates; returns the whole."""
        advice = red_flag_advice(triage.red_flags, language, self.settings.locale)
        if triage.urgency >= UrgencyLevel.II:  # the red flags' own words, cited; nothing else until the patient is safe
            return advice or level_advice(triage.urgency, language)
        asked = Asked(
            self.dialogue.last_question(conversation),
            language,
            triage.urgency,
            triage.departments,
            rewritten=self.dialogue.asked_about(conversation, language),
            told=conversation.said(),
            first_in=self.dialogue.asked_of(conversation),
        )
        search = self.search.current()  # one generation for the whole answer
        first = advice if triage.urgency is UrgencyLevel.III else None
        said = answer_from_passages(asked, search, self.writer, self.settings.passages_per_answer)
        return (yield from following(first, said))

    def _scores(self, conversation: Conversation) -> list[DepartmentScore]:
        """Evidence for each department in the patient's words, moved by what was answered to closed questions."""
        language = conversation.language or "zh"
        words = complaint_in(self.dialogue.words_of(conversation), language)
        effects = self.dialogue.effects(conversation)
        named = self.dialogue.departments_named(words, language, conversation.said())
        query = self.search.embedder.encode_queries([words])[0]
        return [
            score.moved(NAMED_GUIDE * named.get(score.department_id, 0.0)).moved(effects.get(score.department_id, 0.0))
            for score in combined(self.routing.scores(words, query), self.learned, words, query)
        ]

    def _after(
        self,
        conversation: Conversation,
        findings: Findings,
        triage: TriageDecision,
        answer: CitedAnswer | Abstention,
    ) -> Conversation:
        """The conversation with the level and the flags reached, and what it is about."""
        episode = conversation.episode
        flags = tuple(dict.fromkeys((*episode.flags, *(flag.id for flag in triage.red_flags))))
        topic = self.dialogue.topic_of(conversation, findings, answer)
        return conversation.with_episode(replace(episode, urgency=triage.urgency, flags=flags, topic=topic))

    def _note(
        self, conversation: Conversation, triage: TriageDecision, findings: Findings, language: Language
    ) -> HandOffNote:
        intake = self.dialogue.intake.read(findings, conversation.episode, self.dialogue.bank, language)
        return hand_off_note(conversation, triage, findings, intake, self.dialogue.bank, language)

    def _small_talk(self, conversation: Conversation, message: MessageReply, language: Language) -> AssistantReply:
        """The reply to a message that is no complaint: what was decided before still stands, and the question still waits."""
        if conversation.episode.was_told():
            findings = self.matcher.read(conversation.said())
            triage = self._triage(findings, self._scores(conversation), conversation, language)
        else:
            triage = nothing_told(conversation.urgency, language)
        waiting = self.dialogue.still_waiting(conversation, language)
        return AssistantReply(language, triage, message, waiting, replace(conversation, pending=waiting), message)


def _with_question(conversation: Conversation, question: FollowUp) -> Conversation:
    episode = conversation.episode
    asked = tuple(dict.fromkeys((*episode.asked, question.question_id)))
    return replace(conversation.with_episode(replace(episode, asked=asked)), pending=question)


def load_assistant(settings: Settings | None = None, writer: Writer | None = None) -> Assistant:
    """The assistant over the index in DAOZHEN_HOME.

    Raises IndexMissing naming the command that builds it, IndexDamaged when it cannot be trusted,
    InvalidKnowledge when a record, a red flag above all, is broken.
    """
    settings = settings or load_settings()
    search = open_search(settings)
    use_prepared(search.index.folder)
    departments = load_departments()
    hospital_dir = settings.hospital_path
    flags, signs = with_hospital_flags(hospital_dir)
    matcher = RedFlagMatcher(flags, signs)
    routing = RoutingIndex.load(search.index.folder / ROUTING)
    learned, warning = load_or_warn(settings.home, Reader(routing, search.embedder))
    if warning:
        print(f"daozhen: warning: {warning}", file=sys.stderr)
    return Assistant(
        matcher=matcher,
        routing=routing,
        search=search,
        context=TriageContext(departments, load_hospital(hospital_dir, tuple(departments)), load_self_care()),
        dialogue=load_dialogue(matcher, departments, search.at_home()),
        writer=writer or load_writer(settings),
        settings=settings,
        learned=learned,
    )
