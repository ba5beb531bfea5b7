"""`daozhen talk`: the dialogue in a terminal."""

from __future__ import annotations

import click
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel

from knowledge.conversation import Conversation
from knowledge.errors import InvalidQuestion
from knowledge.records import Language
from knowledge.replies import AssistantReply, TriageCard
from knowledge.urgency import UrgencyLevel
from rag.serving_assistant import ServingAssistant
from ui.ready import ready_assistant
from ui.reply_text import WORDS, card_as_text, chosen, note_as_text, question_as_lines

_COLOURS = {
    UrgencyLevel.I: "bold white on red",
    UrgencyLevel.II: "bold white on dark_orange3",
    UrgencyLevel.III: "bold black on yellow",
    UrgencyLevel.IV: "bold white on green4",
    UrgencyLevel.HOME: "bold white on blue",
}
_TEXT: dict[Language, dict[str, str]] = {
    "zh": {
        "hello": "请说说哪里不舒服。选项可以直接打数字；打 /note 看给护士的交接单，/new 重新开始，/quit 结束。危急时请直接拨打急救电话。",
        "prompt": "您：",
        "bye": "再见。加重了就马上去医院。",
        "new": "好，重新开始。",
        "no_note": "还没有说到病情。",
    },
    "en": {
        "hello": "Tell me what is wrong. Options can be chosen by number; /note shows the note for the nurse, /new begins again, /quit ends. In an emergency call the ambulance straight away.",
        "prompt": "You: ",
        "bye": "Goodbye. If it gets worse, go to hospital at once.",
        "new": "All right, from the beginning.",
        "no_note": "Nothing about an illness has been told yet.",
    },
}


@click.command()
@click.option("--lang", "language", type=click.Choice(["zh", "en"]), help="Language of the replies; by default yours.")
def talk(language: Language | None) -> None:
    """Talk with the assistant in the terminal: what is wrong, closed questions by number, a card at the end.

    Nothing is kept when it ends. Leave with /quit, Ctrl-D or Ctrl-C.

    \b
    daozhen talk
    daozhen talk --lang en
    printf '肚子疼两天\\n都没有\\n' | daozhen talk
    """
    console = Console(highlight=False, soft_wrap=True)
    serving = ServingAssistant(ready_assistant())
    try:
        spoken = _talk(serving, console, language)
    except (KeyboardInterrupt, EOFError, click.Abort):
        console.print()
        spoken = language or "zh"
    console.print(_TEXT[spoken]["bye"])


def _talk(serving: ServingAssistant, console: Console, language: Language | None) -> Language:
    """Reads and answers until the input ends; the language last spoken."""
    spoken: Language = language or "zh"
    conversation, shown = Conversation(), None
    console.print(_TEXT[spoken]["hello"] if language else f"{_TEXT['zh']['hello']}\n{_TEXT['en']['hello']}")
    while True:
        try:
            typed = input(_TEXT[spoken]["prompt"])
        except EOFError:
            console.print()
            return spoken
        assistant, command = serving.current(), typed.strip().casefold()
        if command == "/quit":
            return spoken
        if command == "/new":
            conversation, shown = Conversation(), None
            console.print(_TEXT[spoken]["new"])
        elif command == "/note":
            told = conversation.episode.was_told()
            note = note_as_text(assistant.hand_off(conversation, spoken), spoken) if told else _TEXT[spoken]["no_note"]
            console.print(escape(note))
        elif command:
            try:
                reply = assistant.reply(chosen(typed, conversation.pending), conversation, language)
            except InvalidQuestion as fault:
                console.print(escape(str(fault)))
                continue
            spoken, conversation = reply.language, reply.conversation
            shown = _show(console, reply, shown)


def _show(console: Console, reply: AssistantReply, shown: TriageCard | None) -> TriageCard | None:
    """The reply's parts; the card where it says something new. Returns the card last shown."""
    language = reply.language
    if reply.message is not None:
        console.print(escape(reply.message.text))
    if reply.is_medical:
        triage = reply.triage
        console.print(f"[{_COLOURS[triage.urgency]}] {escape(triage.urgency.title(language))} [/] ", end="")
        console.print(escape(triage.urgency.instruction(language)))
        console.print(escape(f"{WORDS[language]['why']}: " + "; ".join(reason.text for reason in triage.reasons)))
        console.print(escape(reply.answer.text), style="dim" if triage.urgency < UrgencyLevel.II else "bold")
    for line in question_as_lines(reply.follow_up, language):
        console.print(escape(line))
    if reply.card is None or (shown is not None and _says(reply.card) == _says(shown)):
        return shown
    title, _, body = card_as_text(reply.card, language).partition("\n")
    console.print(Panel(escape(body), title=title, border_style="bold"))
    return reply.card


def _says(card: TriageCard) -> tuple[object, ...]:
    """What makes a card another card."""
    return card.urgency, card.first.department.id, card.who, card.reasons
