"""Who does work that falls into many like pieces: this process, or a Ray cluster. One row each, one contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from knowledge.errors import InvalidUsage

Item = TypeVar("Item")
Result = TypeVar("Result")
Doing = Callable[[Iterable[Item]], Iterable[Result]]


@dataclass(frozen=True)
class Work(Generic[Item, Result]):
    """One kind of work: items → results, one for each, in their order.

    here: does it in this process; there: called once in every other process that is to do it, gives what does it, and
    raises an AssistantError where that process cannot; together: items that go to a process at once, and are done again
    when it dies; on_gpu: whether each process wants a GPU of its own where there are any.
    """

    here: Doing[Item, Result]
    there: Callable[[], Doing[Item, Result]]
    together: int = 1
    on_gpu: bool = False


class Engine(Protocol):
    """Used in a `with` block, after which nothing that it started is left."""

    def results(self, work: Work[Item, Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        """(place of an item, its result), each item once, in any order. Raises ClusterUnavailable."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LocalEngine:
    """This process."""

    def results(self, work: Work[Item, Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        return enumerate(work.here(items))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


LOCAL = LocalEngine()


def _ray_engine(address: str) -> Engine:
    from rag.ray_engine import RayEngine

    return RayEngine(address)


def _local_engine(address: str) -> Engine:
    if address:
        raise InvalidUsage(f"--address {address}: only --engine ray has one; add that, or leave the address out")
    return LOCAL


ENGINES: dict[str, Callable[[str], Engine]] = {"local": _local_engine, "ray": _ray_engine}


def engine_named(name: str, address: str = "") -> Engine:
    """The engine of that name. address: of a cluster that runs already; "" starts one on this machine.

    Raises InvalidUsage for a name or an address that cannot be meant.
    """
    if name not in ENGINES:
        raise InvalidUsage(f"{name}: no such engine; known: {', '.join(ENGINES)}")
    return ENGINES[name](address)


def in_order(results: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """The results in the order of their places, each as soon as all before it are there."""
    waiting: dict[int, Any] = {}
    due = 0
    for place, result in results:
        waiting[place] = result
        while due in waiting:
            yield waiting.pop(due)
            due += 1


def told(
    results: Iterable[tuple[int, Result]], step: Callable[[str, int, int], object], what: str, total: int
) -> Iterator[tuple[int, Result]]:
    """The results as they come, each told to a progress bar."""
    for done, result in enumerate(results, 1):
        yield result
        step(what, done, total)
