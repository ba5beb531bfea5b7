"""How a talk is kept: what kind of message came, about whom, what it answers, and what to ask next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from knowledge.conversation import MAX_QUESTION_CHARS, MEDICAL_KINDS, Conversation, Episode, FollowUp
from knowledge.departments import Department
from knowledge.errors import InvalidQuestion
from knowledge.intake import load_intake
from knowledge.messages import load_messages
from knowledge.records import Language
from knowledge.replies import CitedAnswer, MessageReply, TriageDecision
from knowledge.script import BETWEEN_SENTENCES, holds_chinese
from knowledge.urgency import UrgencyLevel
from rag.follow_up import Situation, next_question, put
from rag.guide_names import GuideNames
from rag.intake import IntakeReader, without_drug_history
from rag.mentions import widest
from rag.messages import MessageSorter
from rag.near_flags import WeighedSign, missing_facts, weighed_signs
from rag.open_generation import OpenGeneration
from rag.patient import find_ages
from rag.red_flag_matcher import Findings, RedFlagMatcher
from rag.statements import BETWEEN, QuestionBank, answered, level_forced_by, option_of
from rag.who_is_ill import turned_to
from rag.wording import normalise

_ASKS = re.compile(
    r"[?？]|吗|呢|么|怎么|多久|什么|哪些|能不能|要不要|会不会|可不可以|需不需要|为什么|"
    r"^\s*(?:is|are|can|could|should|do|does|will|would|how|what|why|when|which|where|may)\b"
)
_ABOUT_CARE = frozenset({"diet_question", "follow_up_word", "took_in", "any_medicine", "vaccine_question"})


@dataclass(frozen=True)
class Dialogue:
    """The rules of the talk. Holds no conversation."""

    matcher: RedFlagMatcher
    bank: QuestionBank
    sorter: MessageSorter
    intake: IntakeReader
    guides: GuideNames

    @property
    def index(self) -> OpenGeneration:
        """The generation the guides are of."""
        return self.guides.index

    def over(self, index: OpenGeneration) -> Dialogue:
        """The same rules over another generation's guides."""
        return replace(self, guides=GuideNames(index, self.matcher))

    def heard(self, conversation: Conversation, text: str, language: Language | None) -> Conversation:
        """The conversation with the message added: to whose episode, as an answer or not, of which kind."""
        turn = answered(text, conversation.pending, self.bank, self._words_for(conversation))
        spoken = language or reply_language(text, conversation)
        if turn.answers is None:
            alone = self.matcher.read(text)
            kind = self.sorter.kind_of(alone)
            if kind in MEDICAL_KINDS:
                conversation = turned_to(conversation, alone)
            if kind == "medical" and conversation.episode.complaint() and self._has_no_subject(alone):
                kind = "question"
            turn = replace(turn, kind=kind)
        episode = conversation.episode
        pending = None if turn.kind in ("medical", "suicidal") else conversation.pending
        return replace(
            conversation.with_episode(replace(episode, turns=(*episode.turns, turn))), language=spoken, pending=pending
        )

    def calm_reply(self, conversation: Conversation, language: Language, writer: str) -> MessageReply | None:
        """The words of their own that the last message's kind gets; None for a complaint."""
        kind = conversation.turns[-1].kind
        if kind in ("medical", "question"):
            return None
        messages = self.sorter.messages
        text = messages.of(kind).reply.in_language(language).replace("{writer}", writer)
        if kind not in MEDICAL_KINDS and conversation.urgency >= UrgencyLevel.III:
            held = conversation.urgency.title(language)
            text += BETWEEN_SENTENCES[language] + messages.still_holds.in_language(language).replace("{urgency}", held)
        return MessageReply(text, kind)

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
        """What the guidance is searched for: the complaint; for a question without a subject, what it is about and its words."""
        episode = conversation.episode
        text = episode.turns[-1].text
        former = [other for other in conversation.others if other.was_told()]
        if episode.turns[-1].kind == "question":
            subject = self._subject(episode, language)
        elif former and len(episode.turns) == 1 and self._has_no_subject(self.matcher.read(text), must_ask=False):
            subject = self._subject(former[-1], language)  # "what about the child?"
        else:
            return self.words_of(conversation)
        return f"{subject}{'，' if language == 'zh' else ': '}{text}" if subject else text

    def last_question(self, conversation: Conversation) -> str:
        """What was asked last, in the patient's own words; the complaint where nothing was."""
        last = conversation.episode.turns[-1]
        return last.text if last.kind == "question" else self.words_of(conversation)

    def asked_of(self, conversation: Conversation) -> frozenset[str]:
        """The source of the guide that a question without a subject is about, to be searched first; none for a complaint."""
        episode = conversation.episode
        return frozenset({episode.topic} if episode.turns[-1].kind == "question" and episode.topic else ())

    def words_of(self, conversation: Conversation) -> str:
        """The complaint as the guidance and the departments are compared with it: without medicines and drug allergies."""
        episode = conversation.episode
        return without_drug_history(episode.complaint()) or episode.said() or episode.turns[-1].text

    def departments_named(self, words: str, language: Language, told: str) -> dict[str, float]:
        """Department id -> the share of what is spoken of, by rarity, that names a guide of that department, in [0, 1].

        A guide's first department counts whole, its second half. words: the complaint; told: everything said, which tells
        whether a child is ill.
        """
        shares = self.index.subjects(language).read(words, told).shares(self.index.word_weights(words))
        named: dict[str, float] = {}
        for source_id, share in shares.items():
            held = self.index.of_source(source_id, language)
            departments = held[0].departments[:2] if held and held[0].kind == "guide" else ()
            for place, department_id in enumerate(departments, 1):
                named[department_id] = max(named.get(department_id, 0.0), share / place)
        return named

    def _has_no_subject(self, alone: Findings, must_ask: bool = True) -> bool:
        """Whether a message is a question that names neither a sign nor the subject of a guide: "is it contagious?"."""
        if must_ask and not _ASKS.search(alone.text.strip()):
            return False
        return not self._complains(alone) and not self.guides.named_in(alone.text)

    def _complains(self, findings: Findings) -> bool:
        """Whether a sign stands in the words that is more than a time or a person."""
        neutral = self.sorter.messages.neutral.both()
        return any(
            mention.sign_id not in _ABOUT_CARE
            and mention.words not in neutral
            and self.matcher.is_felt(mention.sign_id)
            for mention in findings.mentions
        )

    def _subject(self, episode: Episode, language: Language) -> str:
        """What an episode is about: its guide's title, else the first words of the complaint."""
        told = episode.complaint()
        return self.guides.title(episode.topic, language) or (told.splitlines()[0][:60] if told else "")

    def topic_of(self, conversation: Conversation, findings: Findings, answer: object) -> str:
        """The source id of the guide the talk is about: named in the complaint, else quoted most; a question changes nothing."""
        episode = conversation.episode
        if episode.turns[-1].kind == "question":
            return episode.topic
        named = self.guides.named_in(normalise(episode.complaint())) or self.guides.about(findings)
        if named or not isinstance(answer, CitedAnswer):
            return named or episode.topic
        quoted = Counter(found.source_id for found in answer.citations if self.guides.is_guide(found.source_id))
        return quoted.most_common(1)[0][0] if quoted else episode.topic

    def near(self, conversation: Conversation, findings: Findings, asked_too: bool = False) -> list[WeighedSign]:
        """The danger signs that one fact keeps from raising a flag, weightiest first; asked_too: also those asked before."""
        asked = [sign.id for question in conversation.asked for sign in self.bank.signs_of(question)] * (not asked_too)
        missing = missing_facts(self.matcher, findings)
        in_guide = self.guides.danger_signs(conversation.episode.topic)
        return weighed_signs(self.bank.intake.danger_signs, missing, findings, in_guide, asked)

    def ask(
        self,
        conversation: Conversation,
        findings: Findings,
        triage: TriageDecision,
        would_be: Callable[[str], TriageDecision],
        language: Language,
    ) -> FollowUp | None:
        """The next closed question; for a patient named without any complaint, whether it is the former's trouble."""
        episode = conversation.episode
        if episode.turns[-1].kind == "suicidal":
            return None  # nobody in despair is questioned by a program; the card says where help is
        if episode.turns[-1].kind == "question":
            return self.still_waiting(conversation, language)  # nothing new is asked on a question
        if conversation.others and len(episode.turns) == 1 and not self._complains(findings):
            former = max(place for place in range(len(conversation.episodes)) if place != conversation.current)
            question = self.bank.intake.same_complaint
            return put(question, language, f"{question.id}{BETWEEN}{former}")
        missing, near = missing_facts(self.matcher, findings), self.near(conversation, findings)
        return next_question(Situation(findings, triage, episode, missing, near, would_be), self.bank, language)

    def still_waiting(self, conversation: Conversation, language: Language) -> FollowUp | None:
        """The question put before, in the language now spoken."""
        pending = conversation.pending
        question = self.bank.by_id(pending.question_id) if pending else None
        return put(question, language, pending.question_id) if pending and question else None

    def _words_for(self, conversation: Conversation) -> dict[str, str]:
        """What {sign} and {signs} stand for in the statements of the pending question's options."""
        name, _, about = (conversation.pending.question_id if conversation.pending else "").partition(BETWEEN)
        if name == self.bank.intake.same_complaint.id and about.isdigit() and int(about) < len(conversation.episodes):
            former = self.matcher.read(conversation.episodes[int(about)].said())
            felt = [mention for mention in former.affirmed.values() if self.matcher.is_felt(mention.sign_id)]
            return {"signs": "，".join(mention.words for mention in widest(felt) if not find_ages(mention.words))}
        if name == "intake_duration" and about:
            affirmed = self.matcher.read(conversation.said()).affirmed
            return {"sign": affirmed[about].words if about in affirmed else ""}
        return {}


def load_dialogue(matcher: RedFlagMatcher, departments: dict[str, Department], index: OpenGeneration) -> Dialogue:
    """The dialogue over the shipped questions and messages. Raises InvalidKnowledge when a record is broken."""
    intake = load_intake()
    return Dialogue(
        matcher,
        QuestionBank(departments, intake),
        MessageSorter(load_messages()),
        IntakeReader(intake),
        GuideNames(index, matcher),
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
    return "zh" if holds_chinese(text) else "en"


def reply_language(text: str, conversation: Conversation) -> Language:
    """The language a message is replied to in: its own; a tapped option, or a message without letters, keeps the talk's."""
    tapped = conversation.pending is not None and text.strip() in conversation.pending.options
    has_letters = any(character.isalpha() for character in text)
    return conversation.language if conversation.language and (tapped or not has_letters) else language_of(text)
