"""Every error a person may see: one line that says what, where, and the remedy."""

from __future__ import annotations


class AssistantError(Exception):
    """A fault that can be told to a user in one line. Its text is that line.

    The command line prints it and leaves with `exit_code`; the screen shows it.
    """

    exit_code = 1


class InvalidQuestion(AssistantError):
    """The question is empty or too long to read."""

    exit_code = 2


class InvalidConversation(AssistantError):
    """A conversation handed in is none that a reply handed out."""

    exit_code = 2


class InvalidUsage(AssistantError):
    """A command was given something that cannot be what was meant."""

    exit_code = 2


class InvalidKnowledge(AssistantError):
    """A knowledge record does not say what its schema needs; the text names file and line."""


class InvalidSettings(AssistantError):
    """config.toml, or an environment variable, holds something unusable."""


class UnreadableSource(AssistantError):
    """One source file cannot be read; the others can."""


class IndexMissing(AssistantError):
    """There is no passage index yet; the text names the command that builds it."""


class IndexDamaged(AssistantError):
    """An index is there but cannot be trusted: half written, altered, or made by another embedder."""


class IndexBusy(AssistantError):
    """Another process is writing the index."""


class IndexUnwritable(AssistantError):
    """The index cannot be written: no space, no permission, or no such folder."""


class StoreUnavailable(AssistantError):
    """A served vector store cannot be reached, refuses, or holds nothing that can serve; the text says the remedy."""


class CopyStopped(AssistantError):
    """A copy to a served store was stopped by its user; the same command goes on where it stood."""

    exit_code = 130


class EmbedderMissing(AssistantError):
    """The embedder's files are not there, or the library it needs is not installed."""


class TrainingFailed(AssistantError):
    """A training run cannot start, or does not learn."""


class TrainingStopped(AssistantError):
    """A training run was stopped by its user; the text says where it can go on."""

    exit_code = 130


class InvalidEvaluationSet(AssistantError):
    """A set to measure with does not say what its form needs; the text names file and line."""

    exit_code = 2


class InvalidCases(AssistantError):
    """A file of solved cases or vignettes does not say what its form needs; the text names file and line."""

    exit_code = 2


class LearnedRoutingDamaged(AssistantError):
    """What was learned from solved cases is there but cannot be trusted; the general routing serves instead."""


class MissingExtra(AssistantError):
    """An optional dependency is needed; the text names the extra that brings it."""


class WriterUnavailable(AssistantError):
    """The language model that writes answers cannot be had, or failed; the extractive writer answers instead."""


class WriterBusy(WriterUnavailable):
    """The language model is writing as many answers as it may; the extractive writer answers instead."""


class ClusterUnavailable(AssistantError):
    """The cluster that was to do the work cannot be reached, or its machines cannot do it; nothing was changed."""


def first_line(fault: BaseException) -> str:
    """What a library's fault says, in one line of at most 200 characters; its kind where it says nothing."""
    lines = str(fault).strip().splitlines()
    return lines[0][:200] if lines else type(fault).__name__
