"""The process that reads files one after another for ingest.reading, under its limits."""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from ingest.documents import SourceDocument
from ingest.limits import ReadingLimits
from ingest.readers import read_source
from knowledge.errors import UnreadableSource


def main() -> None:
    """Reads requests from standard input and answers on standard output, each a line of JSON, until the input ends."""
    limits = ReadingLimits(**json.loads(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints must not stand among the answers
    _bound_memory(limits)
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=[requests], daemon=True).start()
    while True:
        request = json.loads(requests.get())
        _alarm(request["seconds"])
        try:
            document = read_source(Path(request["path"]), Path(request["root"]), limits)
        except UnreadableSource as fault:
            _say(answers, {"fault": str(fault)})
        else:
            _alarm(0)
            _send(answers, document)
        _alarm(0)
        answers.flush()


def _listen(requests: queue.Queue[bytes]) -> None:
    """Ends the process as soon as the parent is gone, also in the middle of a file."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _bound_memory(limits: ReadingLimits) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    bound = limits.max_memory_bytes if most == resource.RLIM_INFINITY else min(limits.max_memory_bytes, most)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (bound, most))
    except (OSError, ValueError):  # macOS refuses; time is bounded all the same
        return


def _alarm(seconds: float) -> None:
    """Has the system end the process after so long; it needs no help of ours, so a parser stuck in C ends too."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _send(answers: BinaryIO, document: SourceDocument) -> None:
    for section in document.sections:
        _say(answers, {"section": asdict(section)})
    for row in document.quarantined:
        _say(answers, {"row": asdict(row)})
    said_apart = ("sections", "quarantined")
    _say(answers, {"document": {name: value for name, value in vars(document).items() if name not in said_apart}})


def _say(answers: BinaryIO, answer: dict[str, object]) -> None:
    answers.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
