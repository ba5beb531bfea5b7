"""A writer that is a language model: any LangChain chat model, given the passages and held to them by the gates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from knowledge.errors import WriterUnavailable
from knowledge.prompts import ABSTAINS, answer_messages
from rag.citations import WrittenSentence, written_sentences
from rag.deadline import within
from rag.evidence import DraftSentence, Evidence
from rag.masking import masked

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

MAX_CHARS = 6000  # of an answer; a model that runs on is cut here


class ModelWriter:
    """Asks a chat model for an answer from the evidence, sentence by sentence.

    remote: words leave this machine; names and numbers that identify a person are masked before anything is sent.
    """

    def __init__(
        self, chat_model: BaseChatModel, name: str, *, remote: bool, seconds: float, stall_seconds: float = 20.0
    ) -> None:
        self.chat_model, self.name, self.remote = chat_model, name, remote
        self.seconds, self.stall_seconds = seconds, stall_seconds

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        """Sentences as the model completes them; none where it says that the passages do not answer.

        Raises WriterUnavailable when it fails, stalls, takes too long or says nothing readable.
        """
        question = masked(evidence.question) if self.remote else evidence.question
        messages = answer_messages(
            question,
            evidence.numbered(),
            evidence.language,
            evidence.urgency.title(evidence.language),
            evidence.department,
        )
        keyed = evidence.keyed()
        written = 0
        for sentence in within(lambda: written_sentences(self._pieces(messages)), self.seconds, self.stall_seconds):
            if abstains(sentence):
                return
            written += 1
            yield DraftSentence(sentence.text, [keyed[key] for key in sentence.keys if key in keyed])
        if not written:
            raise WriterUnavailable("the language model said nothing")

    def _pieces(self, messages: list[Any]) -> Iterator[str]:
        from langchain_core.messages import HumanMessage, SystemMessage

        kinds = {"system": SystemMessage, "user": HumanMessage}
        length = 0
        for chunk in self.chat_model.stream([kinds[message.role](message.content) for message in messages]):
            text = chunk.text if isinstance(chunk.text, str) else str(chunk.content)
            length += len(text)
            yield text
            if length > MAX_CHARS:
                return


def abstains(sentence: WrittenSentence) -> bool:
    """Whether the model says that the passages do not answer."""
    return any(token.casefold() in sentence.text.casefold() for token in ABSTAINS.values())
