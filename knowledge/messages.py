"""Kinds of messages that are not a complaint, how they are told, and the calm reply to each."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from knowledge.conversation import MessageKind
from knowledge.errors import InvalidKnowledge
from knowledge.records import KNOWLEDGE_DIR, Bilingual, BilingualList, Record, RecordId, read_yaml, validated


class MessageKindRecord(Record):
    """A kind of message. phrases: as in knowledge/SCHEMA.md; whole: they, and fillers, must be all there is.

    alone: whole messages. signs: of which one must be affirmed (despair).
    reply: may name {writer}, the writer of answers.
    """

    id: MessageKind
    whole: bool = False
    phrases: BilingualList = BilingualList()
    alone: tuple[str, ...] = ()
    signs: tuple[RecordId, ...] = ()
    reply: Bilingual


class Messages(Record):
    """Every kind, the first that fits counting; fillers: words that say nothing beside a `whole` phrase.

    neutral: words that are part of some sign ("today", "lots") and make no complaint by themselves.
    still_holds: said after the reply when a level was reached before; {urgency} is its title.
    """

    kinds: tuple[MessageKindRecord, ...] = Field(min_length=1)
    fillers: BilingualList
    neutral: BilingualList
    still_holds: Bilingual

    def of(self, kind: MessageKind) -> MessageKindRecord:
        """The record of a kind that has a reply of its own."""
        return next(record for record in self.kinds if record.id == kind)


@cache
def load_messages(path: Path = KNOWLEDGE_DIR / "messages.yaml") -> Messages:
    """The table of kinds, validated. Raises InvalidKnowledge when a kind stands there twice."""
    messages = validated(Messages, read_yaml(path), path)
    names = [record.id for record in messages.kinds]
    if len(set(names)) != len(names):
        raise InvalidKnowledge(f"{path.name}: a kind is defined twice; keep one of each")
    return messages
