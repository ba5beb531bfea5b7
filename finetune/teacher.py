"""A teacher model asked many things: never the same thing twice, never more than the budget, and no failure loses the rest.

Any chat model of LangChain serves. Replies are kept in a SQLite file by the hash of model and prompt, so that a run that
stops goes on where it was. Each prompt is retried after what the server asks for (Retry-After) or after growing pauses.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import AssistantError, MissingExtra
from rag.provider_faults import refuses, retry_after

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds
_NOTHING = object()  # no reply, or no further task; None may be either


class TeacherFailed(AssistantError):
    """The teacher model cannot be had, or answers nothing that can be used."""


class BudgetSpent(AssistantError):
    """The requests or tokens allowed are used up; what was made so far is kept."""


@dataclass(frozen=True)
class Budget:
    """What a run may use; None is unlimited. tokens: in and out together, as the server counts them, else a quarter of the characters."""

    requests: int | None = None
    tokens: int | None = None


@dataclass
class Usage:
    """What a run has used. cached: prompts answered from the file."""

    requests: int = 0
    tokens: int = 0
    cached: int = 0
    retries: int = 0
    failed: int = 0


class ReplyCache:
    """Replies by model and prompt in a SQLite file, safe for several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        try:
            self._base = sqlite3.connect(path, check_same_thread=False)
            self._base.execute("pragma journal_mode = wal")
            self._base.execute("create table if not exists replies (key text primary key, reply text not null)")
        except sqlite3.Error as fault:
            raise TeacherFailed(f"{path}: no cache of replies can be kept there ({fault})") from None

    def get(self, key: str) -> str | None:
        with self._lock:
            row = self._base.execute("select reply from replies where key = ?", (key,)).fetchone()
        return row[0] if row else None

    def put(self, key: str, reply: str) -> None:
        with self._lock:
            self._base.execute("insert or replace into replies values (?, ?)", (key, reply))
            self._base.commit()

    def forget(self, key: str) -> None:
        with self._lock:
            self._base.execute("delete from replies where key = ?", (key,))
            self._base.commit()

    def close(self) -> None:
        with self._lock:
            self._base.close()


@dataclass
class Teacher:
    """A chat model with a memory and a budget. at_once: requests in flight together."""

    model: BaseChatModel
    name: str
    cache: ReplyCache
    budget: Budget = Budget()
    at_once: int = 4
    attempts: int = ATTEMPTS
    pause: Callable[[float], None] = time.sleep
    usage: Usage = field(default_factory=Usage)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, prompt: str, accepts: Callable[[str], Any] = lambda reply: reply, variant: int = 0) -> Any:
        """What `accepts` makes of the reply to a prompt.

        accepts: raises ValueError for a reply that cannot be used, which is then asked for again. variant: another
        reply to the same prompt. Raises TeacherFailed when no attempt gave a usable reply, BudgetSpent when no more may be asked.
        """
        key = hashlib.sha256(f"{self.name}\n{variant}\n{prompt}".encode()).hexdigest()
        remembered = self._remembered(key, accepts)
        if remembered is not _NOTHING:
            return remembered
        problem = ""
        after: float | None = None
        for attempt in range(self.attempts):
            self._spend()
            try:
                reply = self._reply(prompt)
                value = accepts(reply)
            except ValueError as fault:
                problem, after = f"an unusable reply ({fault})", None
            except (KeyboardInterrupt, SystemExit):
                raise
            except Exception as fault:  # every provider's client raises its own
                if refuses(fault):
                    problem = _line(fault)
                    break
                told = retry_after(fault)
                problem, after = _line(fault), min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt if told is None else told)
            else:
                self.cache.put(key, reply)
                return value
            with self._lock:
                self.usage.retries += 1
            if attempt + 1 < self.attempts and after:
                self.pause(after)
        with self._lock:
            self.usage.failed += 1
        raise TeacherFailed(f"{self.name}: {problem}")

    def _remembered(self, key: str, accepts: Callable[[str], Any]) -> Any:
        """What `accepts` makes of a reply kept before, else _NOTHING."""
        known = self.cache.get(key)
        if known is None:
            return _NOTHING
        try:
            value = accepts(known)
        except ValueError:
            self.cache.forget(key)  # kept by a version that accepted it
            return _NOTHING
        with self._lock:
            self.usage.cached += 1
        return value

    def _spend(self) -> None:
        with self._lock:
            if self.budget.requests is not None and self.usage.requests >= self.budget.requests:
                raise BudgetSpent(
                    f"the budget of {self.budget.requests:,} requests is used up; run it again with a larger one to go on"
                )
            if self.budget.tokens is not None and self.usage.tokens >= self.budget.tokens:
                raise BudgetSpent(
                    f"the budget of {self.budget.tokens:,} tokens is used up; run it again with a larger one to go on"
                )
            self.usage.requests += 1

    def _reply(self, prompt: str) -> str:
        message = self.model.invoke(prompt)
        text = message.text if isinstance(message.text, str) else str(message.content)
        counted = getattr(message, "usage_metadata", None) or {}
        with self._lock:
            self.usage.tokens += int(counted.get("total_tokens") or (len(prompt) + len(text)) // 4)
        if not text.strip():
            raise ValueError("it is empty")
        return text.strip()

    def each(self, work: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """(task, what `work` gave, or the TeacherFailed it raised), as they are done, a few at a time.

        Ends with BudgetSpent after everything in flight is done, when no more may be asked.
        """
        spent: BudgetSpent | None = None
        waiting: dict[Future[Any], Any] = {}
        queue = iter(tasks)
        with ThreadPoolExecutor(self.at_once) as pool:
            try:
                while True:
                    while spent is None and len(waiting) < 2 * self.at_once:
                        task = next(queue, _NOTHING)
                        if task is _NOTHING:
                            break
                        waiting[pool.submit(work, task)] = task
                    if not waiting:
                        break
                    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                    for future in done:
                        task = waiting.pop(future)
                        try:
                            yield task, future.result()
                        except TeacherFailed as fault:
                            yield task, fault
                        except BudgetSpent as fault:
                            spent = fault
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        if spent is not None:
            raise spent


def _line(fault: BaseException) -> str:
    text = str(fault).strip().splitlines()
    return f"{type(fault).__name__}: {text[0][:160]}" if text else type(fault).__name__


def load_teacher(
    model: str, url: str, cache: Path, budget: Budget, at_once: int, timeout_seconds: float = 120.0
) -> Teacher:
    """A teacher by `provider:name`, such as `openai:qwen-plus` behind any OpenAI-compatible address.

    The key is read from the provider's own environment variable (OPENAI_API_KEY); an address on this machine needs none.
    """
    import os
    from urllib.parse import urlsplit

    try:
        from langchain.chat_models import init_chat_model

        options: dict[str, Any] = {"temperature": 0.7, "timeout": timeout_seconds, "max_retries": 0}
        if url:
            options["base_url"] = url
            if "OPENAI_API_KEY" not in os.environ and urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1"):
                options["api_key"] = "none"  # a server on this machine asks for none, its client insists on one
        return Teacher(init_chat_model(model, **options), f"{model}@{url}", ReplyCache(cache), budget, at_once)
    except ImportError as fault:
        raise MissingExtra(f"model {model}: needs {fault.name}; pip install 'daozhen[served]'") from None
    except AssistantError:
        raise
    except Exception as fault:  # the providers' own errors: an unknown name, a missing key
        raise TeacherFailed(f"model {model}: {_line(fault)}") from None
