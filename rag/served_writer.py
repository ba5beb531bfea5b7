"""A language model behind a server: asked again where that may help, never beyond its time, and let alone while it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_before_delay,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from knowledge.errors import WriterBusy, WriterUnavailable
from rag.deadline import Places, told_of
from rag.evidence import DraftSentence, Evidence
from rag.model_writer import ModelWriter, as_langchain, text_of
from rag.provider_faults import may_pass, retry_after

LONGEST_REST = 600.0  # seconds; what a server asks for beyond it is not believed
_END_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason")  # as providers name it
_CUT = frozenset({"length", "max_tokens", "content_filter", "safety", "recitation"})


@dataclass(frozen=True)
class ServedLimits:
    """How a served model is asked; the `[served]` table of config.toml changes each by its name.

    The whole time of an answer is `writer_seconds` of the settings. Whatever is exceeded, the passages' own sentences
    are given instead.
    """

    connect_seconds: float = 3.0
    first_seconds: float = 10.0  # until the first words, tries and pauses between them included
    stall_seconds: float = 10.0  # between words
    tries: int = 3  # of one answer, as long as nothing of it has come
    at_once: int = 8  # answers asked for at the same time
    wait_seconds: float = 1.0  # one more waits so long for its turn; 0: not at all
    rest_after: int = 3  # answers in a row that failed, after which the server is let alone
    rest_seconds: float = 30.0  # for so long


class Rest:
    """Lets a server alone that keeps failing or asked for time, so that nobody waits for what will not come."""

    def __init__(self, limits: ServedLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._failed, self._until = 0, 0.0
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raises WriterUnavailable while the server is let alone."""
        if self._clock() < self._until:
            raise WriterUnavailable("the language model's server is let alone for a while after failing")

    def succeeded(self) -> None:
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        with self._lock:
            self._failed += 1
            if self._failed >= self._limits.rest_after:
                self._until = max(self._until, self._clock() + self._limits.rest_seconds)

    def asked_for(self, seconds: float) -> None:
        """The server said when to come again."""
        with self._lock:
            self._until = max(self._until, self._clock() + min(seconds, LONGEST_REST))


class ServedWriter(ModelWriter):
    """A ModelWriter over a network: tries again before the first word, knows an answer that broke off from a whole one."""

    def __init__(
        self,
        chat_model: Any,
        name: str,
        *,
        remote: bool,
        seconds: float,
        limits: ServedLimits = ServedLimits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(
            chat_model,
            name,
            remote=remote,
            seconds=seconds,
            first_seconds=limits.first_seconds,
            stall_seconds=limits.stall_seconds,
            places=Places(limits.at_once, limits.wait_seconds),
        )
        self.limits, self.rest = limits, Rest(limits, clock)

    def write(self, evidence: Evidence) -> Iterator[DraftSentence]:
        self.rest.check()
        try:
            yield from super().write(evidence)
        except WriterBusy:
            raise  # it is well, and has enough to do
        except WriterUnavailable:
            self.rest.failed()
            raise
        self.rest.succeeded()

    def reachable_fault(self) -> str:
        """Why the server would not answer just now, with the remedy; "" where it would, or cannot be asked that."""
        client = getattr(self.chat_model, "root_client", None)  # OpenAI's own; other providers' differ
        if client is None:
            return ""
        asked = f"model {self.name}: the server at {client.base_url}"
        try:
            held = [one.id for one in client.with_options(timeout=2 * self.limits.connect_seconds).models.list().data]
        except Exception as fault:  # whatever the client raises, the start goes on
            status = getattr(fault, "status_code", None)
            if status in (401, 403):
                return f"{asked} refused the key ({status}); set OPENAI_API_KEY"
            if isinstance(status, int) and status < 500:
                return ""  # it answers, and has no list of its models
            return f"{asked} does not answer ({told_of(fault)}); start it, or mend model_url"
        name = self.name.partition(":")[2]
        return (
            "" if not held or name in held else f"{asked} has no model {name!r}; it has {', '.join(sorted(held)[:5])}"
        )

    def _pieces(self, messages: list[Any], stopped: threading.Event, **options: Any) -> Iterator[str]:
        ended = ""
        for chunk in self._begun(as_langchain(messages), stopped):
            ended = _end_reason(chunk) or ended
            if text := text_of(chunk):
                yield text
        if not ended:
            raise WriterUnavailable("the language model's server broke the answer off")
        if ended.casefold() in _CUT:
            raise WriterUnavailable(f"the language model's server cut the answer short ({ended})")

    def _begun(self, messages: list[Any], stopped: threading.Event) -> Iterator[Any]:
        """The answer's chunks; until one holds text, what fails is tried again."""
        retrying = Retrying(
            retry=retry_if_exception(may_pass),
            wait=_pause,
            stop=stop_after_attempt(self.limits.tries)
            | stop_before_delay(min(self.limits.first_seconds, self.patience.seconds))
            | stop_when_event_set(stopped),
            sleep=sleep_using_event(stopped),
            reraise=True,
        )
        held: list[Any] = []
        chunks: Iterator[Any] = iter(())
        try:
            for attempt in retrying:
                with attempt:
                    held, chunks = [], iter(self.chat_model.stream(messages))
                    for chunk in chunks:
                        held.append(chunk)
                        if text_of(chunk) or _end_reason(chunk):
                            break
        except Exception as fault:
            if (seconds := retry_after(fault)) is not None:
                self.rest.asked_for(seconds)
            raise WriterUnavailable(f"the language model's server failed ({told_of(fault)})") from None
        yield from held
        yield from chunks


def _pause(state: RetryCallState) -> float:
    """What the server asks for; else half a second, doubled with each try, and a little by chance."""
    told = retry_after(state.outcome.exception()) if state.outcome else None
    return _BACKOFF(state) if told is None else told


_BACKOFF = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 0.25)


def _end_reason(chunk: Any) -> str:
    """Why the model ended, where a chunk says so: no server leaves it out of an answer that came whole."""
    metadata = getattr(chunk, "response_metadata", None) or {}
    return next((str(metadata[name]) for name in _END_REASONS if metadata.get(name)), "")
