"""`daozhen serve`: the API on this machine, or elsewhere with a key."""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from knowledge.errors import InvalidUsage
from rag.config import quiet_libraries
from ui.writer_options import keep_writer, warn_of, writer_options

if TYPE_CHECKING:
    from rag.writers import Writer

KEY_VARIABLE = "DAOZHEN_API_KEY"
MIN_KEY_CHARS = 16
MAX_THREADS = 256
WORKING = 4  # threads; the rules are Python, which runs on one core at a time


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; any other needs a key.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--key-file", type=click.Path(path_type=Path), help=f"File with the key; or set ${KEY_VARIABLE}.")
@click.option("--allow-origin", "origins", multiple=True, help="A web page's origin that may ask (CORS), repeatable.")
@click.option("--model-name", "aliases", multiple=True, help="A further model name to answer to, repeatable.")
@click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    help="Replies worked on at once; by default 4, and with a served model as many more as may be asked of it at once.",
)
@writer_options
@click.option("--max-concurrent", default=256, show_default=True, type=click.IntRange(1), help="Beyond it: 429.")
@click.option("--max-body", default=1024, show_default=True, type=click.IntRange(1), help="KiB of a request's body.")
@click.option("--seconds", default=90.0, show_default=True, type=click.FloatRange(1), help="Time for one answer.")
@click.option(
    "--stop-seconds", default=30, show_default=True, type=click.IntRange(0), help="For running answers to finish."
)
def serve(
    host: str,
    port: int,
    key_file: Path | None,
    origins: tuple[str, ...],
    aliases: tuple[str, ...],
    threads: int | None,
    model: str | None,
    adapter: str | None,
    model_url: str | None,
    max_concurrent: int,
    max_body: int,
    seconds: float,
    stop_seconds: int,
) -> None:
    """Serve the API: OpenAI's chat completions, /v1/triage, /v1/retrieve, /health, /docs. Ctrl-C or SIGTERM ends it.

    Builds the index first if there is none. Nothing that is said is stored or logged.

    \b
    daozhen serve
    daozhen serve --port 8080 --allow-origin http://localhost:3000
    daozhen serve --host 0.0.0.0 --key-file ~/daozhen.key
    daozhen serve --model openai:NAME --model-url http://127.0.0.1:8001/v1
    """
    key = read_key(key_file)
    check_reach(host, key, origins)
    quiet_libraries()
    keep_writer(model, adapter, model_url)
    from rag.serving_assistant import ServingAssistant
    from ui.api import ApiSettings, make_api
    from ui.api_limits import LOOPBACK, ApiLimits
    from ui.api_server import server_for
    from ui.ports import listen
    from ui.ready import ready_assistant

    limits = ApiLimits(max_body_bytes=max_body * 1024, seconds=seconds, max_concurrent=max_concurrent)
    hosts = LOOPBACK if key is None else None  # a web page elsewhere that points its name here has no key
    with listen(host, port) as listening:
        assistant = ready_assistant()
        warn_of(assistant.writer)
        settings = ApiSettings(limits, hosts, key, aliases, origins, threads or threads_for(assistant.writer))
        app = make_api(ServingAssistant(assistant), settings)
        logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s", stream=sys.stderr)
        logging.getLogger("daozhen.api").setLevel(logging.INFO)
        shown = f"[{host}]" if ":" in host else host
        click.echo(f"daozhen: http://{shown}:{listening.getsockname()[1]}/v1 answers; /docs tells how", err=True)
        server_for(app, 2 * max_concurrent + 64, stop_seconds).run(sockets=[listening])


def threads_for(writer: Writer) -> int:
    """Four that work, and one for each answer that a served model may be writing meanwhile: who waits for it holds none up."""
    from rag.served_writer import ServedWriter

    waiting = writer.limits.at_once if isinstance(writer, ServedWriter) else 0
    return min(WORKING + waiting, MAX_THREADS)


def read_key(key_file: Path | None) -> str | None:
    """The key from the file, else from the environment, else None. It is never an argument, which others could see.

    Raises InvalidUsage where the file cannot be read or the key is short; warns where others may read it.
    """
    if key_file is None:
        key, origin = os.environ.get(KEY_VARIABLE, "").strip(), f"${KEY_VARIABLE}"
        if not key:
            return None
    else:
        path, origin = key_file.expanduser(), str(key_file)
        try:
            key = path.read_text(encoding="utf-8").strip()
            others_may_read = os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
        except (OSError, UnicodeDecodeError) as fault:
            reason = getattr(fault, "strerror", None) or "not text"
            raise InvalidUsage(f"{origin}: the key cannot be read ({reason})") from None
        if others_may_read:
            click.echo(f"daozhen: warning: {origin}: others on this machine may read the key", err=True)
    if len(key) < MIN_KEY_CHARS or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidUsage(
            f"{origin}: a key needs {MIN_KEY_CHARS} letters and digits or more; `openssl rand -hex 32` makes one"
        )
    return key


def check_reach(host: str, key: str | None, origins: tuple[str, ...]) -> None:
    """Raises InvalidUsage where strangers could ask without a key."""
    from ui.api_limits import LOOPBACK

    if key is None and host not in LOOPBACK:
        raise InvalidUsage(f"--host {host}: others can reach it, so it needs a key: --key-file, or ${KEY_VARIABLE}")
    if key is None and "*" in origins:
        raise InvalidUsage("--allow-origin '*': any web page could ask, so it needs a key: --key-file")
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query):
            raise InvalidUsage(f"--allow-origin {origin}: an origin is scheme, host and port, as http://localhost:3000")
