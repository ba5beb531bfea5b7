"""`daozhen ask`: one question from the command line."""

from __future__ import annotations

import json
from typing import Any

import click

from knowledge.records import Language
from knowledge.replies import Abstention, AssistantReply, CitedAnswer
from rag.dialogue import checked
from ui.ready import ready_assistant
from ui.reply_text import card_as_text, note_as_text, reply_as_text


@click.command(no_args_is_help=True)
@click.argument("question")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option("--note", is_flag=True, help="Print the hand-off note for the nurse as well.")
@click.option(
    "--language", type=click.Choice(["zh", "en"]), help="Language of the reply; by default that of the question."
)
def ask(question: str, as_json: bool, note: bool, language: Language | None) -> None:
    """Ask one QUESTION; print how urgent it is, which department, and what the guidance says.

    \b
    daozhen ask "孩子发烧39度5，精神还好"
    daozhen ask "my knee hurts when I climb stairs" --json
    """
    checked(question)
    assistant = ready_assistant()
    reply = assistant.reply(question, language=language)
    if as_json:
        click.echo(json.dumps(reply_as_json(reply), ensure_ascii=False, indent=2))
        return
    click.echo(reply_as_text(reply))
    if reply.card is not None:
        click.echo(f"\n{card_as_text(reply.card, reply.language)}")
    if note and reply.is_medical:
        click.echo(f"\n{note_as_text(assistant.hand_off(reply.conversation, reply.language), reply.language)}")


def talk_as_json(reply: AssistantReply) -> dict[str, Any]:
    """The reply for a program that keeps the talk: `reply_as_json`, the message's kind, card, note and conversation."""
    return {
        **reply_as_json(reply),
        "kind": reply.conversation.turns[-1].kind,
        "message": reply.message.text if reply.message else None,
        "card": reply.card.as_json() if reply.card else None,
        "hand_off": reply.hand_off.as_json() if reply.hand_off else None,
        "conversation": reply.conversation.as_json(),
    }


def reply_as_json(reply: AssistantReply) -> dict[str, Any]:
    """The reply in the form programs read; documented in the README."""
    triage, answer = reply.triage, reply.answer
    return {
        "urgency": {"level": triage.urgency.label, "reasons": [reason.text for reason in triage.reasons]},
        "departments": [entry.as_json() for entry in triage.suggested],
        "answer": answer.text,
        "citations": [vars(citation) for citation in answer.citations] if isinstance(answer, CitedAnswer) else [],
        "abstained": isinstance(answer, Abstention),
        "red_flags": [flag.id for flag in triage.red_flags],
        "follow_up": {
            "question": reply.follow_up.question,
            "options": list(reply.follow_up.options),
            "why": reply.follow_up.why,
        }
        if reply.follow_up
        else None,
    }
