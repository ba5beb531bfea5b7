"""How well answers do: answered and abstained rightly, from the right guide, every sentence standing in its quote, how fast."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import InvalidEvaluationSet
from knowledge.medicines import load_medicines
from knowledge.records import Language
from knowledge.replies import AnswerSentence, AssistantReply, Citation, CitedAnswer
from rag.config import Settings
from rag.engines import LOCAL, Engine, Work, in_order, told
from rag.intervals import clopper_pearson
from rag.support import Claim, is_quoted, unsupported

if TYPE_CHECKING:
    from rag.assistant import Assistant

CASES_TOGETHER = 8  # asked by one process before it tells
GUIDES = "guidelines/"
EXPECTED = 'it needs {"question": text, "answerable": true|false, "guides": [ids]}'


@dataclass(frozen=True)
class AnswerCase:
    """A question. guides: ids of the guides any of which answers it; other sources may be named by their whole source id."""

    question: str
    answerable: bool
    guides: tuple[str, ...]


@dataclass(frozen=True)
class AnswerOutcome:
    """What the assistant made of one question. unsupported: its sentences that do not stand in their quote."""

    case: AnswerCase
    language: Language
    answered: bool
    right_guide: bool
    sentences: int
    unsupported: tuple[str, ...]
    seconds: float
    text: str = field(repr=False, default="")


def read_cases(path: Path) -> list[AnswerCase]:
    """Every case of a JSON Lines file. Raises InvalidEvaluationSet naming file and line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not UTF-8"
        raise InvalidEvaluationSet(f"{path}: cannot be read ({reason}); name a JSON Lines file") from None
    cases = [_case(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not cases:
        raise InvalidEvaluationSet(f"{path}:1: holds no case; {EXPECTED}")
    return cases


def _case(line: str, where: str) -> AnswerCase:
    try:
        row = json.loads(line)
        question, answerable, guides = row["question"], row["answerable"], row.get("guides", [])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidEvaluationSet(f"{where}: not a case; {EXPECTED}") from None
    if not isinstance(question, str) or not question.strip() or not isinstance(answerable, bool):
        raise InvalidEvaluationSet(f"{where}: question or answerable is of another kind; {EXPECTED}")
    if not isinstance(guides, list) or not all(isinstance(guide, str) for guide in guides):
        raise InvalidEvaluationSet(f"{where}: guides is no list of ids; {EXPECTED}")
    return AnswerCase(question, answerable, tuple(guides))


def evaluate_answers(
    cases: Sequence[AnswerCase],
    assistant: Assistant,
    step: Callable[[str, int, int], object] = lambda *_: None,
    engine: Engine = LOCAL,
) -> list[AnswerOutcome]:
    """Every case asked in a conversation of its own. Another process opens the assistant by its settings, so that each
    must see the home folder with its index."""
    settings = replace(assistant.settings, home=assistant.settings.home.resolve())
    work = Work(
        here=partial(map, partial(asked, assistant)),
        there=partial(_asking, settings),
        together=CASES_TOGETHER,
        on_gpu=bool(settings.model) and Path(settings.model).expanduser().is_dir(),
    )
    return list(in_order(told(engine.results(work, cases), step, "asking", len(cases))))


def asked(assistant: Assistant, case: AnswerCase) -> AnswerOutcome:
    """What the assistant makes of one case."""
    begun = time.perf_counter()
    reply = assistant.reply(case.question)
    return _outcome(case, reply, time.perf_counter() - begun)


def _asking(settings: Settings) -> Callable[[Iterable[AnswerCase]], Iterable[AnswerOutcome]]:
    from rag.assistant import load_assistant

    return partial(map, partial(asked, load_assistant(settings)))


def _outcome(case: AnswerCase, reply: AssistantReply, seconds: float) -> AnswerOutcome:
    answer = reply.answer
    if not isinstance(answer, CitedAnswer):
        return AnswerOutcome(case, reply.language, False, False, 0, (), seconds, answer.text)
    by_key = {citation.key: citation for citation in answer.citations}
    cited = {citation.source_id for citation in answer.citations}
    wanted = {guide if "/" in guide or "." in guide else GUIDES + guide for guide in case.guides}
    loose = tuple(
        sentence.text for sentence in answer.sentences if not stands_in_quote(sentence, by_key.get(sentence.key))
    )
    right = bool(cited & wanted)
    return AnswerOutcome(case, reply.language, True, right, len(answer.sentences), loose, seconds, answer.text)


def stands_in_quote(sentence: AnswerSentence, citation: Citation | None) -> bool:
    """Whether a sentence has a citation whose quote says it; advice to ask instead of a dose stands by its mark."""
    if citation is None or not citation.quote:
        return False
    wording = load_medicines()
    if sentence.text in (wording.replacement.zh, wording.replacement.en):
        return citation.quote in (wording.mark.zh, wording.mark.en)
    if is_quoted(sentence.text, citation.quote):
        return True
    return unsupported(Claim(sentence.text, citation.quote, f"{citation.title} {citation.section}")) is None


def answer_report(outcomes: Iterable[AnswerOutcome]) -> dict[str, Any]:
    """The figures, in all and by language; each share with its 95 % Clopper-Pearson interval."""
    every = list(outcomes)
    parts = {"all": every} | {language: [one for one in every if one.language == language] for language in ("zh", "en")}
    report = _figures(parts["all"])
    report["by_language"] = {name: _figures(part) for name, part in parts.items() if name != "all" and part}
    return report


def _figures(outcomes: Sequence[AnswerOutcome]) -> dict[str, Any]:
    answerable = [one for one in outcomes if one.case.answerable]
    others = [one for one in outcomes if not one.case.answerable]
    answered = [one for one in answerable if one.answered]
    sentences = sum(one.sentences for one in outcomes)
    loose = sum(len(one.unsupported) for one in outcomes)
    seconds = sorted(one.seconds for one in outcomes)
    shares = {
        "answered": (len(answered), len(answerable)),
        "abstained": (sum(not one.answered for one in others), len(others)),
        "right_guide": (sum(one.right_guide for one in answered), len(answered)),
        "right_guide_of_all": (sum(one.right_guide for one in answerable), len(answerable)),
        "support": (sentences - loose, sentences),
    }
    return {
        "n": len(outcomes),
        **{name: round(hits / n, 4) if n else None for name, (hits, n) in shares.items()},
        "counts": {name: list(pair) for name, pair in shares.items()},
        "intervals": {
            name: [round(bound, 4) for bound in clopper_pearson(hits, n)] for name, (hits, n) in shares.items() if n
        },
        "sentences_per_answer": round(statistics.mean(one.sentences for one in answered), 2) if answered else None,
        "latency_ms": {
            "p50": round(1000 * statistics.median(seconds), 1),
            "p95": round(1000 * seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))], 1),
        },
    }
