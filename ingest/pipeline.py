"""Sources → passages → vectors → a new generation of the index. Only what is new or changed is read and embedded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ingest.documents import QuarantineRow, SourceDocument
from ingest.duplicates import keep_once, sentence_keys
from ingest.index_cache import CACHE, IndexCache
from ingest.knowledge_sources import knowledge_documents, knowledge_fingerprint
from ingest.limits import ReadingLimits, load_limits
from ingest.plan import RebuildPlan, make_plan
from ingest.rebuild_work import ReadFile, embedding_work, read_files, reading_fingerprint, reading_work, split
from ingest.remembered import Remembered, last_good, remembered_sources
from ingest.shipped_vectors import with_shipped_vectors
from ingest.stored import renamed, restored, stored_file, stored_knowledge, stored_unreadable
from knowledge.departments import load_departments
from rag.arrivals import text_to_embed
from rag.embedder import Embedder
from rag.engines import LOCAL, Engine, in_order
from rag.generation_writer import Change, write_generation
from rag.generations import KEPT_GENERATIONS, new_generation_name, remove_old
from rag.manifest import FORMAT_VERSION, Manifest
from rag.passage_index import ROUTING, PassageIndex
from rag.passage_store import KNOWLEDGE, StoredDocument
from rag.passages import Passage
from rag.prepared import write_prepared
from rag.routing import RoutingIndex
from rag.vector_index import EXACT_UP_TO
from rag.words import words_fingerprint
from rag.writer_lock import writing

_TELLING_AMOUNT = 500.0  # of passages or files: less work says nothing of the speed

Progress = Callable[[str, int, int], None]  # what is being done, done so far, in all
Arrival = tuple[StoredDocument, Sequence[Passage]]


@dataclass(frozen=True)
class RebuildOptions:
    """keep: generations that stay; fresh: every file is read again; remove: a folder or source that goes;
    restore: removed sources that come back; limits: of reading, those of config.toml where None;
    exact_up_to: passages beyond which the search is approximate; engine: who reads and embeds; open_embedder: gives the
    embedder in another process, for an engine that works there, where it cannot be sent."""

    keep: int = KEPT_GENERATIONS
    fresh: bool = False
    remove: str | None = None
    restore: tuple[str, ...] = ()
    limits: ReadingLimits | None = None
    exact_up_to: int = EXACT_UP_TO
    engine: Engine = LOCAL
    open_embedder: Callable[[], Embedder] | None = None


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild did. documents, passages, quarantined: of the whole index; read, moved, deleted: sources;
    embedded: texts; changed: False where all was as before; warnings: for a person; seconds: wall time."""

    generation: str
    documents: int
    passages: int
    quarantined: tuple[QuarantineRow, ...]
    read: int
    moved: int
    deleted: int
    embedded: int
    changed: bool
    warnings: tuple[str, ...]
    seconds: float


def rebuild_index(
    index_dir: Path,
    embedder: Embedder,
    source_dirs: Sequence[Path] = (),
    progress: Progress | None = None,
    options: RebuildOptions = RebuildOptions(),
) -> RebuildReport:
    """Brings the index up to date with the shipped knowledge, the folders indexed before and those given.

    Files that cannot be read are left out and reported; the index in use stays as it was until the last step. Where
    nothing has changed, nothing is written. A rebuild that was killed goes on from what it had read and embedded.
    Raises UnreadableSource for a folder that is missing or holds nothing readable, IndexBusy when another process
    writes, InvalidUsage where `remove` or `restore` names nothing, IndexDamaged where nothing tells what was indexed.
    """
    begun = time.monotonic()
    remembered_sources(index_dir, source_dirs, options.remove, options.restore)  # a wrong name stops here, lock or not
    with writing(index_dir):
        remembered = remembered_sources(index_dir, source_dirs, options.remove, options.restore)
        known = with_shipped_vectors(embedder)
        rebuild = _Rebuild(index_dir, known, remembered, options, progress or (lambda *_: None))
        rebuild.run()
    return rebuild.report(round(time.monotonic() - begun, 2))


def plan_rebuild(
    index_dir: Path, embedder: Embedder, source_dirs: Sequence[Path] = (), options: RebuildOptions = RebuildOptions()
) -> RebuildPlan:
    """What rebuild_index would do; changes nothing. Raises as it does."""
    remembered = remembered_sources(index_dir, source_dirs, options.remove, options.restore)
    return _Rebuild(index_dir, embedder, remembered, options, lambda *_: None).plan


class _Rebuild:
    """One rebuild: what is there, what is to be done, and what was done."""

    def __init__(
        self, index_dir: Path, embedder: Embedder, remembered: Remembered, options: RebuildOptions, step: Progress
    ) -> None:
        self.index_dir, self.embedder, self.remembered, self.options = index_dir, embedder, remembered, options
        self.step = step
        self.limits = options.limits or load_limits()
        self.fingerprint = reading_fingerprint(self.limits)
        self.base = last_good(index_dir)
        made = self.base.manifest if self.base else None
        self.reusable = made is not None and (made.embedder_fingerprint, made.words_fingerprint) == (
            embedder.fingerprint,
            words_fingerprint(),
        )
        kept_knowledge, self.new_knowledge = _compared_knowledge(self.base)
        reread = options.fresh or made is None or made.reading_fingerprint != self.fingerprint
        self.plan = make_plan(self.base, remembered, kept_knowledge, reread, made.rates if made else {})
        self.changed = not self._is_up_to_date()
        self.embedded = 0
        self._spent = _Spent()

    def run(self) -> None:
        """Writes the new generation, unless all is as it was."""
        if not self.changed:
            remove_old(self.index_dir, self.options.keep)  # what a killed rebuild left behind
            return
        with closing(IndexCache(self.index_dir / CACHE)) as cache:
            change = Change(
                base=self.base if self.reusable else None,
                gone=self.plan.gone,
                arriving=self._arriving(cache),
                embed=lambda texts: self._embed(texts, cache),
                keep_once=keep_once,
                likeness_keys=lambda passage: sentence_keys(passage) if passage.kind == "document" else (),
                extra_files=self._write_departments_and_rules,
                rates=lambda new, passages: self._spent.rates(self.plan.rates, new, passages),
                exact_up_to=self.options.exact_up_to,
            )
            write_generation(self.index_dir, self._manifest(), change, self.options.keep)
            self.base = index = PassageIndex.open(self.index_dir)
            cache.finish(lambda: map(text_to_embed, index.passages), len(index.passages), self.embedder)
        self.step("writing", 1, 1)

    def report(self, seconds: float) -> RebuildReport:
        """After the run."""
        index = self.base or PassageIndex.open(self.index_dir)
        return RebuildReport(
            generation=index.manifest.generation,
            documents=index.manifest.documents,
            passages=index.manifest.passages,
            quarantined=quarantine_of(index),
            read=len(self.plan.add) if self.changed else 0,
            moved=len(self.plan.move),
            deleted=len(self.plan.delete),
            embedded=self.embedded,
            changed=self.changed,
            warnings=self.remembered.warnings(),
            seconds=seconds,
        )

    def _is_up_to_date(self) -> bool:
        made = self.base.manifest if self.base else None
        plan = self.plan
        return (
            made is not None
            and self.reusable
            and not (plan.add or plan.move or plan.delete or self.new_knowledge or self.options.fresh)
            and made.reading_fingerprint == self.fingerprint
            and made.knowledge_fingerprint == knowledge_fingerprint()
            and made.source_dirs == self.remembered.names()
            and frozenset(made.removed) == self.remembered.removed
            and made.generation == self.remembered.serving
        )

    def _arriving(self, cache: IndexCache) -> Iterator[Arrival]:
        for stored, document in self.new_knowledge:
            yield stored, split(document)
        if self.base is not None:
            for number in () if self.reusable else self.plan.keep:  # another embedder: read before, embedded anew
                yield self.base.passages.document(number), self.base.passages.of_document(number)
            for file, number in self.plan.move:
                document = renamed(restored(self.base.passages.document(number)), file.source_id)
                yield stored_file(document, file), split(document)
        begun = time.monotonic()
        yield from self._read(cache)
        self._spent.reading, self._spent.megabytes = time.monotonic() - begun, self.plan.megabytes

    def _read(self, cache: IndexCache) -> Iterator[Arrival]:
        """Every file, read or taken from what a killed rebuild had read; a file that cannot be read has no passages."""
        files = self.plan.add
        keys = [f"{self.fingerprint}:{file.sha256}:{file.source_id}" for file in files]
        before = {place for place, key in enumerate(keys) if cache.has_reading(key)}
        new = [place for place in range(len(files)) if place not in before]

        def arriving() -> Iterator[tuple[int, ReadFile]]:
            results = self.options.engine.results(reading_work(self.limits), [files[place] for place in new])
            for done, (number, read) in enumerate(results, len(before) + 1):
                if isinstance(read.result, SourceDocument):
                    cache.remember_reading(keys[new[number]], read.result)
                self.step("reading", done, len(files))
                yield number, read

        ordered = in_order(arriving())
        for place, file in enumerate(files):
            if place not in before:
                read = next(ordered)
            elif document := cache.reading(keys[place]):
                read = ReadFile.of(document)
            else:  # the cache was damaged meanwhile
                (read,) = read_files([file], self.limits)
            if isinstance(read.result, SourceDocument):
                yield stored_file(read.result, file), read.passages
            else:
                yield stored_unreadable(read.result, file), ()
        next(ordered, None)  # at its end no worker is left

    def _embed(self, texts: Sequence[str], cache: IndexCache) -> Iterator[np.ndarray]:
        begun = time.monotonic()
        embedder = self.embedder
        work = embedding_work(embedder, self.options.open_embedder or (lambda: embedder), self.limits)
        vectors, self.embedded = cache.embedded(
            texts,
            embedder,
            lambda done, total: self.step("embedding", done, total),
            lambda batches: self.options.engine.results(work, batches),
        )
        self._spent.embedding, self._spent.embedded = time.monotonic() - begun, self.embedded
        self.step("writing", 0, 1)
        return vectors

    def _write_departments_and_rules(self, folder: Path) -> None:
        """The rules made ready, and the departments' phrases; the latter from before where what they are made from is the same."""
        write_prepared(folder, self.base.folder if self.base else None)
        made = self.base.manifest if self.base and self.reusable else None
        same = made is not None and made.reading_fingerprint == self.fingerprint
        if self.base and made and same and made.knowledge_fingerprint == knowledge_fingerprint():
            shutil.copytree(self.base.folder / ROUTING, folder / ROUTING)
        else:
            RoutingIndex.build(load_departments(), self.embedder).save(folder / ROUTING)

    def _manifest(self) -> Manifest:
        return Manifest(
            format_version=FORMAT_VERSION,
            generation=new_generation_name(),
            embedder=self.embedder.name,
            embedder_fingerprint=self.embedder.fingerprint,
            dimension=self.embedder.dimension,
            knowledge_fingerprint=knowledge_fingerprint(),
            reading_fingerprint=self.fingerprint,
            words_fingerprint=words_fingerprint(),
            source_dirs=self.remembered.names(),
            removed=tuple(sorted(self.remembered.removed)),
        )


@dataclass
class _Spent:
    """The seconds one rebuild spent, and on how much, for the next plan's estimate."""

    begun: float = field(default_factory=time.monotonic)
    reading: float = 0.0
    megabytes: float = 0.0
    embedding: float = 0.0
    embedded: int = 0

    def rates(self, before: Mapping[str, float], new: int, passages: int) -> dict[str, float]:
        """As before, but for the kinds of work of which enough was done to tell how fast it goes."""
        rest = time.monotonic() - self.begun - self.reading - self.embedding
        found = dict(before)
        if self.megabytes >= 1:
            found |= {"read_per_mb": self.reading / self.megabytes, "passages_per_mb": new / self.megabytes}
        if self.embedded >= _TELLING_AMOUNT:
            found["embed_per_passage"] = self.embedding / self.embedded
        if new >= max(_TELLING_AMOUNT, passages / 2):
            found["write_per_new_passage"] = rest / new
        elif passages >= _TELLING_AMOUNT:
            found["write_per_passage"] = rest / passages
        return {name: float(f"{value:.3g}") for name, value in found.items()}


def quarantine_of(index: PassageIndex) -> tuple[QuarantineRow, ...]:
    """Everything that was left out of an index, or taken with a warning."""
    return tuple(QuarantineRow(**row) for row in index.passages.quarantined())


def _compared_knowledge(base: PassageIndex | None) -> tuple[list[int], list[tuple[StoredDocument, SourceDocument]]]:
    """Numbers of the shipped documents the index holds as they are now, and the documents it does not."""
    held = {
        (document.source_id, document.sha256): number
        for number, document in (base.passages.documents() if base else ())
        if document.origin == KNOWLEDGE
    }
    shipped = [(stored_knowledge(document), document) for document in knowledge_documents()]
    kept = [held[key] for stored, _ in shipped if (key := (stored.source_id, stored.sha256)) in held]
    return kept, [(stored, document) for stored, document in shipped if (stored.source_id, stored.sha256) not in held]
