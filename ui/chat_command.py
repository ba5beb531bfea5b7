"""`daozhen chat`: the triage chat in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from rag.config import quiet_libraries

PATIENT_APP = Path(__file__).resolve().parent / "patient_app.py"


@click.command()
@click.option("--port", default=8501, show_default=True, type=click.IntRange(1, 65535), help="Port on this machine.")
def chat(port: int) -> None:
    """Serve the triage chat at http://127.0.0.1:PORT; builds the index first if there is none. Ctrl-C ends it.

    \b
    daozhen chat
    daozhen chat --port 8600
    """
    quiet_libraries()
    from ui.ready import ready_assistant

    ready_assistant()  # a broken red flag or index stops here, in one line, before anybody is served
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(PATIENT_APP.parents[1]), os.environ.get("PYTHONPATH")) if part
    )
    options = {
        "server.address": "127.0.0.1",
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(PATIENT_APP), *arguments])
