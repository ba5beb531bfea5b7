"""`daozhen ask`: one question from the command line."""

from __future__ import annotations

import json
from typing import Any

import click

from knowledge.records import Language
from knowledge.replies import AssistantReply, CitedAnswer
from rag.assistant import checked
from ui.ready import ready_assistant


@click.command(no_args_is_help=True)
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option(
    "--language", type=click.Choice(["zh", "en"]), help="Language of the reply; by default that of the question."
)
def ask(question: str, as_json: bool, language: Language | None) -> None:
    """Ask one QUESTION; print how urgent it is, which department, and what the guidance says.

    \b
    daozhen ask "孩子发烧39度5，精神还好"
    daozhen ask "my knee hurts when I climb stairs" --json
    """
    checked(question)
    reply = ready_assistant().reply(question, language=language)
    click.echo(json.dumps(reply_as_json(reply), ensure_ascii=False, indent=2) if as_json else reply_as_text(reply))


def reply_as_json(reply: AssistantReply) -> dict[str, Any]:
    """The reply in the form programs read; documented in the README."""
    triage, answer = reply.triage, reply.answer
    return {
        "urgency": {"level": triage.urgency.label, "reasons": [reason.text for reason in triage.reasons]},
        "departments": [
            {
                "id": entry.department.id,
                "name_zh": entry.department.name.zh,
                "name_en": entry.department.name.en,
                "score": entry.score,
                "why": entry.why,
            }
            for entry in triage.departments
        ],
        "answer": answer.text,
        "citations": [vars(citation) for citation in answer.citations] if isinstance(answer, CitedAnswer) else [],
        "abstained": not isinstance(answer, CitedAnswer),
        "red_flags": [flag.id for flag in triage.red_flags],
        "follow_up": {
            "question": reply.follow_up.question,
            "options": list(reply.follow_up.options),
            "why": reply.follow_up.why,
        }
        if reply.follow_up
        else None,
    }


_WORDS = {
    "zh": {
        "why": "原因",
        "departments": "科室",
        "answer": "依据资料",
        "sources": "出处",
        "ask": "想再问一句",
        "notice": "这是就医指引，不是诊断。",
    },
    "en": {
        "why": "Why",
        "departments": "Departments",
        "answer": "From the guidance",
        "sources": "Sources",
        "ask": "One more question",
        "notice": "This is guidance, not a diagnosis.",
    },
}


def reply_as_text(reply: AssistantReply) -> str:
    """The reply as a person reads it in a terminal: urgency first."""
    language, triage, answer = reply.language, reply.triage, reply.answer
    words = _WORDS[language]
    lines = [f"【{triage.urgency.title(language)}】", triage.urgency.instruction(language), ""]
    lines += [f"{words['why']}: {reason.text}" for reason in triage.reasons]
    lines += ["", f"{words['departments']}:"]
    lines += [f"  {entry.department.name.in_language(language)}  — {entry.why}" for entry in triage.departments[:3]]
    lines += ["", f"{words['answer']}:", *(f"  {line}" for line in answer.text.splitlines())]
    if isinstance(answer, CitedAnswer):
        lines += ["", f"{words['sources']}:"]
        lines += [
            f"  [{citation.key}] {citation.title} · {citation.section}{f' · p. {citation.page}' if citation.page else ''}"
            for citation in answer.citations
        ]
    if reply.follow_up:
        lines += [
            "",
            f"{words['ask']}: {reply.follow_up.question}  ({' / '.join(reply.follow_up.options)})",
            f"  {reply.follow_up.why}",
        ]
    return "\n".join([*lines, "", words["notice"]])
