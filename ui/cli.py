"""The `daozhen` command. Each verb imports what it needs when it runs, so that --help is instant."""

from __future__ import annotations

import sys
from typing import Any

import click

from knowledge.errors import AssistantError
from ui.lazy_commands import LazyCommands

COMMANDS = {
    "ask": ("ui.ask_command", "ask", "Ask one question; print urgency, departments and a cited answer."),
    "chat": ("ui.chat_command", "chat", "Serve the triage chat in the browser."),
    "data": ("ui.data_command", "data", "List, convert, clean, mix and look at training data."),
    "index": ("ui.index_command", "index", "Build and look at the passage index."),
    "knowledge": ("ui.knowledge_command", "knowledge", "Check and export departments, red flags and guides."),
    "talk": ("ui.talk_command", "talk", "Talk with the assistant in the terminal."),
    "eval": ("ui.eval_command", "evaluate", "Measure a part of daozhen on data of your own."),
    "triage": ("ui.triage_command", "triage", "Learn a hospital's own routing from its solved cases."),
    "export": ("ui.export_command", "export", "Write a trained model, or dialogues, in another form."),
    "predict": ("ui.predict_command", "predict", "Write a model's answers to a file of prompts."),
    "models": ("ui.models_command", "models", "The catalogue of bases and open medical models."),
    "serve": ("ui.serve_command", "serve", "Serve the API: OpenAI's chat completions, triage, retrieval."),
    "train": ("ui.train_command", "train", "Train what a config file describes."),
}


@click.group(cls=LazyCommands, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="daozhen", prog_name="daozhen")
def cli() -> None:
    """daozhen (导诊): how urgent a complaint is, which department to go to, and what the guidance says, every statement cited.

    Runs on this machine alone. Guidance, not a diagnosis.

    \b
    daozhen chat                              the triage chat at http://127.0.0.1:8501
    daozhen ask "奶奶胸口疼，直冒冷汗"        one question, one answer
    daozhen ask "I twisted my ankle" --json   the same for a program
    daozhen serve                             the API at http://127.0.0.1:8000/v1
    daozhen index rebuild --source ~/guides   add your own documents
    """


def main(arguments: list[str] | None = None) -> Any:
    """Runs a command; every fault that a user can mend is one line on standard error."""
    try:
        return cli.main(args=arguments, standalone_mode=False) or 0
    except AssistantError as fault:
        return _tell(str(fault), fault.exit_code)
    except click.ClickException as fault:
        fault.show()
        return fault.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _tell("stopped; nothing was changed", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 141


def _tell(line: str, exit_code: int) -> int:
    click.echo(f"daozhen: {line}", err=True)
    return exit_code


def run() -> None:
    """The `daozhen` command: main, with its exit code given to the system."""
    sys.exit(main())


if __name__ == "__main__":
    run()
