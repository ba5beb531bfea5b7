"""What a registry says of one data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from finetune.record_readers import AUTO, ReadingRules
from knowledge.errors import AssistantError

NOT_STATED = "not stated"
STAGES = ("pretraining", "supervised", "reward", "exam")


class InvalidRegistry(AssistantError):
    """A registry does not say what it must; the text names the file and the entry."""


@dataclass(frozen=True)
class DatasetEntry:
    """One data set. Empty fields are not known, never guessed.

    hub: its id on the Hugging Face hub. url: where else it is to be had. licence: as its own page states it.
    languages: zh, en. rows: how many it has, as its own page says. file: its name in the data folder, when it has a fixed one.
    format: what its files are. columns, tags: their names → the reader's (see ReadingRules). needs_script: it is a loading script.
    """

    name: str
    stage: str = "supervised"
    title: str = ""
    hub: str = ""
    subset: str = ""
    split: str = ""
    url: str = ""
    licence: str = ""
    languages: tuple[str, ...] = ()
    rows: int | None = None
    file: str = ""
    sha1: str = ""
    format: str = ""
    reader: str = AUTO
    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    at_most: int | None = None
    needs_script: bool = False
    note: str = ""

    @property
    def rules(self) -> ReadingRules:
        return ReadingRules(self.reader, self.columns, self.tags, self.name, self.licence, self.at_most)

    @property
    def where(self) -> str:
        """Where it is to be had, in words."""
        if self.hub:
            return f"huggingface.co/datasets/{self.hub}" + (f" ({self.subset})" if self.subset else "")
        if self.needs_script and not self.url:
            return "a loading script, which today's libraries refuse: look for the set itself"
        return self.url or NOT_STATED
