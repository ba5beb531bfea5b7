"""What the knowledge covers, counted: the table `daozhen knowledge check` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from knowledge.records import Reviewed
from rag.embedder import Embedder
from rag.knowledge_check import Knowledge
from rag.routing import RoutingIndex


def coverage_rows(knowledge: Knowledge) -> list[tuple[str, ...]]:
    """Rows (group, departments, zh complaints, en complaints, guides), a header first and the sum last."""
    guides: Counter[str] = Counter(
        department.group
        for guide in knowledge.guides.values()
        for department in {
            knowledge.departments[key].id: knowledge.departments[key] for key in guide.header.departments
        }.values()
    )
    groups: dict[str, list[int]] = {}
    for department in knowledge.departments.values():
        row = groups.setdefault(department.group, [0, 0, 0])
        row[0] += 1
        row[1] += len(department.complaints.zh)
        row[2] += len(department.complaints.en)
    rows = [(group, *map(str, row), str(guides[group])) for group, row in sorted(groups.items())]
    total = [str(sum(row[place] for row in groups.values())) for place in range(3)]
    return [
        ("group", "departments", "complaints zh", "complaints en", "guides"),
        *rows,
        ("all", *total, str(len(knowledge.guides))),
    ]


def flag_rows(knowledge: Knowledge) -> list[tuple[str, ...]]:
    """Rows (level, red flags, triggers, near misses), a header first and the sum last."""
    rows = []
    for level in sorted({flag.level for flag in knowledge.flags.values()}, reverse=True):
        flags = [flag for flag in knowledge.flags.values() if flag.level is level]
        triggers = sum(len(flag.triggers.both()) for flag in flags)
        misses = sum(len(flag.near_misses.both()) for flag in flags)
        rows.append((level.label, str(len(flags)), str(triggers), str(misses)))
    total = [str(sum(int(row[place]) for row in rows)) for place in (1, 2, 3)]
    return [("level", "red flags", "triggers", "near misses"), *rows, ("all", *total)]


def source_rows(knowledge: Knowledge) -> list[tuple[str, ...]]:
    """Rows (records, in all, with named sources, general clinical knowledge, signed by a clinician)."""
    kinds: dict[str, Sequence[Reviewed]] = {
        "departments": list(knowledge.departments.values()),
        "red flags": list(knowledge.flags.values()),
        "guides": [guide.header for guide in knowledge.guides.values()],
        "self-care": knowledge.self_care,
    }
    rows = [
        (
            name,
            str(len(records)),
            str(sum(bool(record.sources) for record in records)),
            str(sum(not record.sources for record in records)),
            str(sum(record.review != "unreviewed" for record in records)),
        )
        for name, records in kinds.items()
    ]
    return [("records", "in all", "named sources", "general knowledge", "signed"), *rows]


def unreached_departments(knowledge: Knowledge, embedder: Embedder) -> list[str]:
    """Departments that none of their own complaints, put to the router, brings into the first three."""
    index = RoutingIndex.build(knowledge.departments, embedder)
    unreached = []
    for department in knowledge.departments.values():
        texts = department.complaints.both()
        if department.referral_only or not texts:
            continue
        queries = embedder.encode_queries(list(texts))
        if not any(
            department.id in _first_three(index, text, query) for text, query in zip(texts, queries, strict=True)
        ):
            unreached.append(department.id)
    return unreached


def _first_three(index: RoutingIndex, text: str, query) -> list[str]:  # type: ignore[no-untyped-def]
    scores = sorted(index.scores(text, query), key=lambda score: -score.log_odds)
    return [score.department_id for score in scores[:3]]
