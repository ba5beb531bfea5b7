"""A writer that is a language model: any LangChain chat model, given the passages and held to them by the gates."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from knowledge.errors import WriterUnavailable
from knowledge.prompts import ABSTAINS, answer_messages
from rag.citations import WrittenSentence, written_sentences
from rag.deadline import Patience, Places, within
from rag.evidence import DraftSentence, Evidence
from rag.masking import mask
from rag.reading_order import in_reading_order, telling_sentences
from rag.sentence_choice import is_danger_line
from rag.word_for_word import in_parts, quotable, where_it_stands

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

MAX_CHARS = 6000  # of an answer; a model that runs on is cut here
MOST_REPEATED = 3  # sentences said before, after which nothing new is expected
MAX_AT_ONCE = 32  # answers a model on this machine may have before it
THINKS, SPEAKS = "<think>", "</think>"


class ModelWriter:
    """Asks a chat model for an answer from the evidence, sentence by sentence.

    remote: words leave this machine; names and numbers that identify a person are masked before anything is sent.
    word_for_word: it chooses among the passages' own sentences (rag/quoting.py); only a model on this machine can be held to it.
    seconds, first_seconds, stall_seconds: of patience with it, in all, until its first words and between words.
    """

    def __init__(
        self,
        chat_model: BaseChatModel,
        name: str,
        *,
        remote: bool,
        seconds: float,
        first_seconds: float | None = None,
        stall_seconds: float = 20.0,
        places: Places | None = None,
        word_for_word: bool = False,
    ) -> None:
        self.chat_model, self.name, self.remote = chat_model, name, remote
        self.word_for_word = word_for_word
        self.patience = Patience(seconds, seconds if first_seconds is None else first_seconds, stall_seconds)
        self.places = places or Places(MAX_AT_ONCE)

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        """Sentences as the model completes them, each once; none where it says that the passages do not answer.

        A sentence that stands word for word in another of the passages than the one it cites is cited to that one. A
        model that only repeats itself is stopped.

        Raises WriterUnavailable when it fails, stalls, takes too long, breaks off or says nothing readable; what had
        been written of a sentence by then is dropped.
        """
        telling = telling_sentences(evidence)
        evidence = in_reading_order(evidence, telling)
        yield from self._chosen(evidence, telling) if self.word_for_word else self._written(evidence)

    def _chosen(self, evidence: Evidence, telling: list[DraftSentence]) -> Iterator[DraftSentence]:
        """What is quoted, part after part; as far as it came where the model fails half way."""
        chosen: list[DraftSentence] = []
        try:
            chosen.extend(self._written(evidence, quoting=quotable(evidence, telling)))
        finally:
            yield from in_parts(chosen, telling)

    def _written(self, evidence: Evidence, **options: Any) -> Iterator[DraftSentence]:
        question = mask(evidence.question) if self.remote else evidence.question
        messages = answer_messages(
            question,
            evidence.numbered(),
            evidence.language,
            evidence.urgency.title(evidence.language),
            evidence.department,
        )
        keyed = evidence.keyed()
        said: Counter[str] = Counter()
        pieces = within(lambda stopped: self._pieces(messages, stopped, **options), self.patience, self.places)
        for sentence in written_sentences(at_most(said_aloud(pieces), MAX_CHARS)):
            if abstains(sentence):
                return
            said[sentence.text] += 1
            if said[sentence.text] > 1:
                if said.total() - len(said) >= MOST_REPEATED:
                    return
                continue
            cited = [keyed[key] for key in sentence.keys if key in keyed]
            passages = where_it_stands(sentence.text, cited, keyed.values())
            hurries = bool(passages) and is_danger_line(passages[0])
            yield DraftSentence(sentence.text, passages, "danger" if hurries else "answer")
        if not said:
            raise WriterUnavailable("the language model said nothing")

    def _pieces(self, messages: list[Any], stopped: threading.Event, **options: Any) -> Iterator[str]:
        for chunk in self.chat_model.stream(as_langchain(messages), **options):
            yield text_of(chunk)


def as_langchain(messages: Iterable[Any]) -> list[Any]:
    """Messages of knowledge/prompts.py as LangChain's models take them."""
    from langchain_core.messages import HumanMessage, SystemMessage

    kinds = {"system": SystemMessage, "user": HumanMessage}
    return [kinds[message.role](message.content) for message in messages]


def text_of(chunk: Any) -> str:
    """What a chunk adds to the answer's text."""
    return chunk.text if isinstance(chunk.text, str) else str(chunk.content)


def said_aloud(pieces: Iterable[str]) -> Iterator[str]:
    """What a model says, without what some write between <think> and </think> first, however the pieces are cut."""
    buffer, thinking = "", False
    for piece in pieces:
        buffer += piece
        while (place := buffer.find(mark := SPEAKS if thinking else THINKS)) >= 0:
            if not thinking:
                yield buffer[:place]
            buffer, thinking = buffer[place + len(mark) :], not thinking
        begun = next((size for size in range(len(mark) - 1, 0, -1) if buffer.endswith(mark[:size])), 0)
        settled, buffer = buffer[: len(buffer) - begun], buffer[len(buffer) - begun :]
        if settled and not thinking:
            yield settled
    if buffer and not thinking:
        yield buffer


def at_most(pieces: Iterable[str], chars: int) -> Iterator[str]:
    """The pieces, up to so many characters; WriterUnavailable beyond, so that no half sentence is taken for a whole one."""
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > chars:
            raise WriterUnavailable(f"the language model wrote more than {chars:,} characters")
        yield piece


def abstains(sentence: WrittenSentence) -> bool:
    """Whether the model says that the passages do not answer."""
    return any(token.casefold() in sentence.text.casefold() for token in ABSTAINS.values())
