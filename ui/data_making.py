"""`daozhen data ground` and `daozhen data synthesise`: training records that no public set has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from knowledge.errors import InvalidUsage
from ui.data_options import COUNT, FILE
from ui.progress import progress_bar

if TYPE_CHECKING:
    from finetune.synthesis import Synthesis, SynthesisTask
    from finetune.teacher import Teacher


@click.command()
@click.option("--out", type=FILE, required=True, help="The file of records to write.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    help="cited, routing, urgency, follow_up or preferences; may be repeated. The first four by default.",
)
@click.option(
    "--questions", type=FILE, default=None, help='Instead: answer the questions of this file, rows {"question": text}.'
)
@click.option("--language", "languages", multiple=True, type=click.Choice(["zh", "en"]), help="Both by default.")
@click.option(
    "--abstain-share", default=0.25, show_default=True, help="Of the cited rows, those whose passages do not answer."
)
@click.option(
    "--altered-share",
    default=0.0,
    show_default=True,
    help="Of the cited rows that answer, those with words exchanged in prompt and answer alike: untrue, they teach to copy. Also with --questions.",
)
@click.option(
    "--ask-share",
    default=0.5,
    show_default=True,
    help="Of the assistant's turns in follow-up dialogues, those that ask.",
)
@click.option("--at-most", type=COUNT, default=None, help="Rows of each kind.")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def ground(
    out: Path,
    kinds: tuple[str, ...],
    questions: Path | None,
    languages: tuple[str, ...],
    abstain_share: float,
    altered_share: float,
    ask_share: float,
    at_most: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Make records from our own index and knowledge: cited answers and abstentions in the prompt of serving, routing, urgency, follow-up questions.

    \b
    daozhen data ground --out grounded.jsonl
    daozhen data ground --out follow_up.jsonl --kind follow_up --ask-share 0.4 --at-most 500
    daozhen data ground --out cited.jsonl --kind cited --abstain-share 0.12
    daozhen data ground --out copied.jsonl --kind cited --altered-share 0.6
    daozhen data ground --out pairs.jsonl --kind preferences --at-most 4000
    daozhen data ground --out asked.jsonl --questions questions.jsonl
    """
    from finetune.asked_questions import answered_records, questions_in
    from finetune.grounding import GroundingRules
    from finetune.grounding_kinds import BY_DEFAULT, KINDS
    from finetune.record_writer import record_writer
    from ui.ready import ready_assistant

    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not (0 <= abstain_share <= 1 and 0 <= altered_share <= 1 and 0 <= ask_share < 1):
        raise InvalidUsage(
            f"--kind {', '.join(unknown)}: known are {', '.join(KINDS)}"
            if unknown
            else "--abstain-share, --altered-share and --ask-share are shares between 0 and 1"
        )
    rules = GroundingRules(
        abstain_share=abstain_share, altered_share=altered_share, ask_share=ask_share, at_most=at_most, seed=seed
    )
    if languages:
        from dataclasses import replace

        rules = replace(rules, languages=languages)  # type: ignore[arg-type]
    counts: dict[str, Any] = {}
    assistant = ready_assistant()
    with record_writer(out) as writer, progress_bar("ground") as step:
        for kind in ("questions",) if questions else kinds or BY_DEFAULT:
            if questions:
                made = answered_records(assistant, list(questions_in(questions)), rules, step)
            else:
                made = KINDS[kind](assistant, rules, step)
            for record in made.records:
                writer.write(record)
            counts[kind] = {"records": len(made.records), "left_out": dict(made.left_out)}
    if as_json:
        click.echo(json.dumps({"out": str(out), **counts}, ensure_ascii=False, indent=2))
        return
    for kind, count in counts.items():
        left_out = ", ".join(f"{number:,} {reason}" for reason, number in count["left_out"].items() if number)
        click.echo(f"{kind}: {count['records']:,} records" + (f"; left out: {left_out}" if left_out else ""))
    click.echo(f"{writer.written:,} records in {out}")


@click.command()
@click.argument("task")
@click.option(
    "--from",
    "sources",
    multiple=True,
    required=True,
    type=FILE,
    help="Files of passages, graph records, labels, cases or dialogues; may be repeated.",
)
@click.option("--out", type=FILE, required=True, help="The file of records to write.")
@click.option("--model", default="", help="The teacher as provider:name, such as openai:qwen-plus.")
@click.option(
    "--url", default="", help="The address of an OpenAI-compatible server; the key is read from OPENAI_API_KEY."
)
@click.option(
    "--cache",
    type=FILE,
    default=None,
    help="Where replies are kept; by default beside --out. A run that stopped goes on from it.",
)
@click.option("--max-requests", type=COUNT, default=None, help="Budget: so many requests in this run.")
@click.option("--max-tokens", type=COUNT, default=None, help="Budget: so many tokens in this run, in and out.")
@click.option("--at-once", type=COUNT, default=4, show_default=True, help="Requests in flight together.")
@click.option("--at-most", type=COUNT, default=None, help="Take so many rows of the files.")
@click.option("--source", default="", help="Written into the records.")
@click.option("--licence", default="", help="Written into the records: that of the material they are made from.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def synthesise(
    task: str,
    sources: tuple[Path, ...],
    out: Path,
    model: str,
    url: str,
    cache: Path | None,
    max_requests: int | None,
    max_tokens: int | None,
    at_once: int,
    at_most: int | None,
    source: str,
    licence: str,
    as_json: bool,
) -> None:
    """Make records with a teacher model, checking what it writes. What the files hold goes to that model's server.

    TASK: guideline_pairs, graph_instructions, drug_labels (needs no teacher), two_agents, rewrite, preferences.

    \b
    daozhen data synthesise drug_labels --from drug.json --out drugs.jsonl
    daozhen data synthesise guideline_pairs --from passages.jsonl --out pairs.jsonl --model openai:qwen-plus --url http://127.0.0.1:8000/v1
    """
    from finetune.record_writer import record_writer
    from finetune.records import with_origin
    from finetune.synthesis import TASKS, Synthesis
    from finetune.synthesis import synthesise as make
    from finetune.teacher import Budget, BudgetSpent, load_teacher

    if task not in TASKS:
        raise InvalidUsage(f"no task {task!r}; known: {', '.join(TASKS)}")
    chosen, made = TASKS[task], Synthesis()
    if chosen.needs_teacher and not model:
        raise InvalidUsage(
            f"{task} needs a teacher; name one with --model, such as openai:NAME with --url for a server of your own"
        )
    budget = Budget(max_requests, max_tokens)
    teacher = (
        load_teacher(model, url, cache or out.with_name(f"{out.name}.replies.sqlite"), budget, at_once)
        if chosen.needs_teacher
        else None
    )
    stopped = ""
    with record_writer(out) as writer, progress_bar(task) as step:
        try:
            for record in make(chosen, _items(chosen, sources, at_most), teacher, made):
                writer.write(with_origin(record, source, licence))
                step("records", writer.written, 0)
        except BudgetSpent as fault:
            stopped = str(fault)
    _say(out, writer.written, made, teacher, stopped, as_json)
    if stopped:
        raise SystemExit(3)


def _items(task: SynthesisTask, sources: tuple[Path, ...], at_most: int | None) -> Iterator[Any]:
    from finetune.records import InvalidData, InvalidRecord
    from finetune.row_files import rows_of
    from finetune.rows import BadRow

    taken = 0
    for path in sources:
        for row in rows_of(path):
            if at_most is not None and taken >= at_most:
                return
            taken += 1
            if isinstance(row, BadRow):
                raise InvalidData(f"{path.name}:{row.line}: {row.problem}")
            try:
                yield task.item(row.value)
            except InvalidRecord as fault:
                raise InvalidData(f"{path.name}:{row.line}: expected {fault}; a row is {task.expected}") from None


def _say(out: Path, written: int, made: Synthesis, teacher: Teacher | None, stopped: str, as_json: bool) -> None:
    usage = vars(teacher.usage) if teacher else {}
    if as_json:
        click.echo(
            json.dumps(
                {
                    "out": str(out),
                    "records": written,
                    "left_out": dict(made.left_out),
                    "usage": usage,
                    "stopped": stopped,
                },
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    for reason, count in made.left_out.most_common():
        click.echo(f"left out: {count:,} {reason}")
    for problem in made.problems[:5]:
        click.echo(f"daozhen: {problem}", err=True)
    if usage:
        click.echo("asked: " + ", ".join(f"{count:,} {name}" for name, count in usage.items()))
    click.echo(f"{written:,} records in {out}")
    if stopped:
        click.echo(f"daozhen: {stopped}", err=True)
