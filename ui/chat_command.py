"""`daozhen chat`: the triage chat in the browser, and with --staff the staff's pages, each a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from knowledge.errors import InvalidUsage
from rag.config import load_settings, quiet_libraries
from ui.ports import check_free
from ui.writer_options import keep_writer, warn_of, writer_options

PATIENT_APP = Path(__file__).resolve().parent / "patient_app.py"
STAFF_APP = PATIENT_APP.with_name("staff_app.py")
ADDRESS, PATIENT_PORT, STAFF_PORT = "127.0.0.1", 8501, 8502


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help=f"Port on this machine; by default {PATIENT_PORT}, with --staff {STAFF_PORT}.",
)
@writer_options
@click.option("--staff", is_flag=True, help="Serve the staff's pages instead, behind their password.")
@click.option("--set-password", is_flag=True, help="With --staff: ask for a new password, keep its hash, and end.")
def chat(
    port: int | None,
    model: str | None,
    adapter: str | None,
    model_url: str | None,
    staff: bool,
    set_password: bool,
) -> None:
    """Serve the triage chat at http://127.0.0.1:PORT; builds the index first if there is none. Ctrl-C ends it.

    The staff's pages (library, evaluation, routing, feedback, settings) are another process on another port. Their
    password is set once with --set-password, or by the variable DAOZHEN_STAFF_PASSWORD at the first start.

    \b
    daozhen chat
    daozhen chat --port 8600
    daozhen chat --model ~/models/tuned --adapter ~/runs/sft/adapter
    daozhen chat --model openai:NAME --model-url http://127.0.0.1:8001/v1
    daozhen chat --model extractive
    daozhen chat --staff --set-password
    daozhen chat --staff
    """
    if set_password and not staff:
        raise InvalidUsage("--set-password is for the staff's pages; add --staff")
    quiet_libraries()
    if staff:
        _ready_password(asked=set_password)
        if set_password:
            return
    port = port or (STAFF_PORT if staff else PATIENT_PORT)
    check_free(ADDRESS, port, f"end it, or choose another port, such as --port {port + 100 if port < 65000 else 8600}")
    keep_writer(model, adapter, model_url)
    from ui.ready import ready_assistant

    assistant = ready_assistant()  # a broken red flag or index stops here, in one line, before anybody is served
    if staff:
        _serve(STAFF_APP, port, upload_mib=200)
    else:
        warn_of(assistant.writer)
        _serve(PATIENT_APP, port, upload_mib=1)


def _ready_password(asked: bool) -> None:
    """Makes sure that there is a password; the variable's is taken only where there is none, and not left to others."""
    from ui.staff_password import SET_IT, VARIABLE, has_password, set_password

    home, given = load_settings().home, os.environ.pop(VARIABLE, "")
    if asked:
        path = set_password(home, click.prompt("New staff password", hide_input=True, confirmation_prompt=True))
        click.echo(f"kept as a hash in {path}")
    elif not has_password(home):
        if not given:
            raise InvalidUsage(f"the staff's pages have no password yet; {SET_IT}, or give {VARIABLE} once")
        set_password(home, given)


def _serve(app: Path, port: int, upload_mib: int) -> None:
    """Becomes the Streamlit server of an app, on this machine alone."""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(app.parents[1]), os.environ.get("PYTHONPATH")) if part
    )
    options = {
        "server.address": ADDRESS,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": str(upload_mib),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "theme.light.primaryColor": "#0b5a8f",
        "theme.dark.primaryColor": "#8cc8f5",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(app), *arguments])
