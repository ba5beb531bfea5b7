"""Staff page: what the index holds, and how to add, take out, rebuild and go back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from ingest.pipeline import RebuildOptions, RebuildReport, quarantine_of, rebuild_index
from ingest.readers import READERS
from ingest.remembered import remembered_sources
from knowledge.departments import load_departments
from knowledge.errors import AssistantError, InvalidUsage
from rag.config import Settings
from rag.from_settings import embedder_for
from rag.generations import finished_generations, roll_back
from rag.passage_index import PassageIndex
from rag.passage_store import KNOWLEDGE
from rag.served_or_local import LOCAL, serve_newest
from rag.writer_lock import writing

UPLOADS = "documents"  # folder of the home folder that uploaded files go to


def show(settings: Settings) -> None:
    """Draws what the index holds, and takes folders in and out."""
    index = PassageIndex.open(settings.index_dir)
    manifest = index.manifest
    for line in remembered_sources(settings.index_dir).warnings():
        st.warning(line)
    figures = {
        "Documents": manifest.documents,
        "Passages": manifest.passages,
        "Left out or suspect": manifest.quarantined,
    }
    for column, (name, value) in zip(st.columns(3), figures.items(), strict=True):
        column.metric(name, f"{value:,}")
    sources, departments, generations, quarantine = st.tabs(["Sources", "Departments", "Generations", "Quarantine"])
    with sources:
        _show_sources(settings, index)
    with departments:
        st.dataframe(_departments(manifest.generation, index), hide_index=True, width="stretch")
    with generations:
        _show_generations(settings, manifest.generation)
    with quarantine:
        rows = [
            {"source": row.source_id, "page": row.page, "taken": row.taken, "why": row.reason, "remedy": row.remedy}
            for row in quarantine_of(index)
        ]
        st.dataframe(rows, hide_index=True, width="stretch") if rows else st.info("Nothing was left out.")


@st.cache_data(show_spinner=False, max_entries=4)
def _departments(generation: str, _index: PassageIndex) -> list[dict[str, object]]:
    """Counted once for a generation, which never changes."""
    return departments_of(_index)


def departments_of(index: PassageIndex) -> list[dict[str, object]]:
    """Passages and sources for each department, most first."""
    names = load_departments()
    passages: Counter[str] = Counter()
    sources: dict[str, set[str]] = {}
    for passage in index.passages:
        for one in passage.departments or ("",):
            passages[one] += 1
            sources.setdefault(one, set()).add(passage.source_id)
    return [
        {
            "department": f"{names[one].name.zh} {names[one].name.en}" if one in names else "none named",
            "passages": count,
            "sources": len(sources[one]),
        }
        for one, count in passages.most_common()
    ]


def _show_sources(settings: Settings, index: PassageIndex) -> None:
    own = [document for _, document in index.passages.documents() if document.origin != KNOWLEDGE]
    shipped = index.manifest.documents - len([document for document in own if document.readable])
    st.caption(f"{shipped:,} documents ship with daozhen; {len(own):,} are your own.")
    rows = [
        {"source": one.source_id, "folder": one.origin, "read": one.readable, "KiB": round(one.size / 1024)}
        for one in own
    ]
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch")
    with st.form("upload", clear_on_submit=True):
        files = st.file_uploader(
            "Add documents", accept_multiple_files=True, type=[ending.removeprefix(".") for ending in sorted(READERS)]
        )
        if st.form_submit_button("Add and rebuild", type="primary") and files:
            folder = settings.home / UPLOADS
            for file in files:
                keep_upload(folder, file.name, file.getvalue())
            _rebuild(settings, (folder,), RebuildOptions())
    if st.button("Rebuild: bring everything up to date"):
        _rebuild(settings, (), RebuildOptions())
    choices = [*index.manifest.source_dirs, *(document.source_id for document in own)]
    if choices:
        chosen = st.selectbox("Take out of the index (the file itself stays)", choices, index=None)
        if st.button("Take out", disabled=chosen is None):
            _rebuild(settings, (), RebuildOptions(remove=chosen))
    if index.manifest.removed:
        back = st.selectbox("Bring back what was taken out", index.manifest.removed, index=None)
        if st.button("Bring back", disabled=back is None) and back:
            _rebuild(settings, (), RebuildOptions(restore=(back,)))


def keep_upload(folder: Path, name: str, content: bytes) -> Path:
    """Writes an uploaded file under its own name, whatever path the browser claims. Raises InvalidUsage for a bad name."""
    plain = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not plain or plain.startswith(".") or not plain.isprintable() or Path(plain).suffix.lower() not in READERS:
        raise InvalidUsage(f"{plain[:80]!r}: not a name for a document; known endings: {', '.join(READERS)}")
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{plain}.new"
    fresh.write_bytes(content)
    fresh.replace(folder / plain)
    return folder / plain


def _rebuild(settings: Settings, folders: tuple[Path, ...], options: RebuildOptions) -> None:
    """Rebuilds with a bar; the index in use serves until the new one is whole."""
    bar = st.progress(0.0, "index")
    try:
        report = rebuild_index(settings.index_dir, embedder_for(settings), folders, _drawn(bar), options)
        _take_over(settings, _drawn(bar))
    except AssistantError as fault:
        bar.empty()
        st.error(str(fault))
        return
    bar.empty()
    _tell(report)


def _take_over(settings: Settings, step: Callable[[str, int, int], None]) -> None:
    """Where the settings name a served store, it serves what has just changed here; where it cannot, that is said."""
    if settings.store == LOCAL:
        return
    try:
        serve_newest(settings, step)
    except AssistantError as fault:
        st.error(f"{fault}. This machine's index has changed, the served store's has not.")


def _drawn(bar: object) -> Callable[[str, int, int], None]:
    draw = bar.progress  # type: ignore[attr-defined]
    return lambda what, done, total: draw(min(1.0, done / total) if total else 0.0, f"{what}: {done:,} of {total:,}")


def _tell(report: RebuildReport) -> None:
    if report.changed:
        st.success(
            f"{report.documents:,} documents, {report.passages:,} passages: generation {report.generation} serves."
        )
    else:
        st.info("Nothing has changed; nothing was written.")
    for line in report.warnings:
        st.warning(line)


def _show_generations(settings: Settings, serving: str) -> None:
    names = [folder.name for folder in reversed(finished_generations(settings.index_dir))]
    st.dataframe([{"generation": name, "serves": name == serving} for name in names], hide_index=True)
    if st.button("Go back to the generation before", disabled=len(names) < 2):
        with writing(settings.index_dir):
            folder = roll_back(settings.index_dir)
        _take_over(settings, lambda *_: None)
        st.success(f"Generation {folder.name} serves; running chats follow with their next question.")
