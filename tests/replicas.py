"""Several replicas of the API, or of the screen, behind nginx as docs/nginx.conf.example sets it up."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "docs" / "nginx.conf.example"
NAME = "triage.example.org"
KEY = "a-key-for-the-replicas-0123456789"
MARKS = "甲乙丙丁戊己庚辛"


def missing_for_nginx() -> str:
    """What is not installed here; empty where nothing is missing."""
    return ", ".join(name for name in ("nginx", "openssl") if _which(name) is None)


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def write_guides(folder: Path, mark: str) -> None:
    """The hospital's own sheets, every sentence with the mark of its edition."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "visits.txt").write_text(
        f"住院部探视须知（{mark}版）\n\n住院部的探视时间按{mark}版规定执行。探视住院病人每次不超过两人（{mark}版）。\n",
        encoding="utf-8",
    )
    (folder / "children.txt").write_text(
        f"儿科病房探视须知（{mark}版）\n\n儿科病房的探视要先在护士站登记（{mark}版）。感冒发烧的人不能探视儿科病房（{mark}版）。\n",
        encoding="utf-8",
    )


def rebuild(home: Path, guides: Path, mark: str) -> str:
    """An edition of the sheets and a generation of the index with it, built as an operator builds it; its name."""
    write_guides(guides, mark)
    command = [sys.executable, "-m", "ui.cli", "index", "rebuild", "--source", str(guides), "--json"]
    subprocess.run(command, env=_environment(home), cwd=ROOT, check=True, capture_output=True)
    return (home / "index" / "CURRENT").read_text().strip()


@dataclass
class FrontEnd:
    """https: what nginx answers to; replicas: the processes' own addresses."""

    https: str
    certificate: Path
    replicas: list[str]
    servers: list[subprocess.Popen[str]]
    requests: Counter[str] = field(default_factory=Counter)

    def client(self, at_once: int = 100) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        trusted = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.AsyncClient(base_url=self.https, verify=trusted, headers=HEADERS, limits=limits, timeout=300)


HEADERS = {"Authorization": f"Bearer {KEY}", "Host": NAME}


@contextmanager
def front_end(home: Path, work: Path, replicas: int = 2) -> Iterator[FrontEnd]:
    """Replicas over one home folder, and nginx before them."""
    with ExitStack() as stack:
        servers = [_serve(home) for _ in range(replicas)]
        for server in servers:
            stack.callback(_stop, server)
        addresses = [_address(server) for server in servers]
        certificate, https = _nginx(work, [address.removeprefix("http://") for address in addresses], stack)
        yield FrontEnd(https, certificate, addresses, servers)


def _environment(home: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DAOZHEN_HOME": str(home),
        "DAOZHEN_API_KEY": KEY,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }


def _serve(home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ui.cli", "serve", "--port", "0"]
    return subprocess.Popen(command, env=_environment(home), cwd=ROOT, stderr=subprocess.PIPE, text=True)


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"(http://\S+)/v1 answers", line):
            subprocess.Popen(["cat"], stdin=server.stderr, stdout=subprocess.DEVNULL)
            return found[1]
    raise RuntimeError("a replica did not start")


def _stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config_for(
    work: Path, api: list[str], port: int, plain_port: int, chats: list[str] | None = None
) -> tuple[str, Path]:
    """The example with this machine's addresses and paths in it, and the certificate it names."""
    certificate, key = work / "cert.pem", work / "key.pem"
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"]
    out = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*openssl, *names, *out], check=True, capture_output=True)
    text = EXAMPLE.read_text(encoding="utf-8")
    servers = {"daozhen_api": api, "daozhen_chat": chats or ["127.0.0.1:1"]}
    for upstream, addresses in servers.items():
        before, _, after = text.partition(f"upstream {upstream} {{")
        block, _, rest = after.partition("\n    }")
        lines = [line for line in block.splitlines() if not line.strip().startswith("server ")]
        lines[-1:-1] = [f"        server {address} max_fails=3 fail_timeout=10s;" for address in addresses]
        text = f"{before}upstream {upstream} {{{chr(10).join(lines)}\n    }}{rest}"
    here = {
        "/var/log/nginx/": f"{work}/",
        "/run/nginx.pid": f"{work}/nginx.pid",
        f"/etc/ssl/certs/{NAME}.pem": str(certificate),
        f"/etc/ssl/private/{NAME}.key": str(key),
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        f"https://{NAME} 0;": f"https://{NAME} 0; https://{NAME}:{port} 0;",
        # who may not write in /var/lib may run it too
        "\nhttp {": "\nhttp {\n" + "".join(f"    {kind}_temp_path {work}/{kind};\n" for kind in _TEMPORARY),
    }
    for old, new in here.items():
        assert old in text, old
        text = text.replace(old, new)
    return text, certificate


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _nginx(work: Path, api: list[str], stack: ExitStack, chats: list[str] | None = None) -> tuple[Path, str]:
    nginx = _which("nginx")
    assert nginx is not None
    work.mkdir(parents=True, exist_ok=True)
    port = free_port()
    text, certificate = config_for(work, api, port, free_port(), chats)
    config = work / "nginx.conf"
    config.write_text(text, encoding="utf-8")
    subprocess.run([nginx, "-t", "-c", str(config), "-e", f"{work}/e.log"], check=True, capture_output=True)
    running = subprocess.Popen([nginx, "-c", str(config), "-e", f"{work}/e.log", "-g", "daemon off;"])
    stack.callback(_stop, running)
    _wait_for(port, 20)
    return certificate, f"https://127.0.0.1:{port}"


def visit_chats(home: Path, work: Path) -> dict[str, Any]:
    """The patient's screen through nginx, two processes of it: whether one visitor comes to the same process every time,
    and whether pages of other names are refused."""
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        for port in ports:
            command = [sys.executable, "-m", "ui.cli", "chat", "--port", str(port)]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            stack.callback(_stop, subprocess.Popen(command, env=_environment(home), cwd=ROOT, **quiet))
        for port in ports:
            _wait_for(port, 60)
        certificate, https = _nginx(work, ["127.0.0.1:1"], stack, [f"127.0.0.1:{port}" for port in ports])
        return asyncio.run(_visits(https, certificate, work / "daozhen.log"))


async def _visits(https: str, certificate: Path, log: Path) -> dict[str, Any]:
    import websockets

    trusted = ssl.create_default_context(cafile=str(certificate))
    url, taken, refused = f"{https.replace('https', 'wss')}/_stcore/stream", 0, ""
    for _ in range(8):
        options: Any = {"ssl": trusted, "origin": f"https://{NAME}", "subprotocols": ["streamlit"], "proxy": None}
        async with websockets.connect(url, **options) as link:
            await link.ping()
            taken += 1
    try:
        strange: Any = {**options, "origin": "https://elsewhere.example"}
        async with websockets.connect(url, **strange):
            refused = "taken"
    except websockets.InvalidStatus as fault:
        refused = str(fault.response.status_code)
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if "/_stcore/stream 101" in line]
    processes = Counter(line.rsplit(" ", 1)[1] for line in lines)
    return {"visits_taken": taken, "processes_that_served_them": len(processes), "page_of_another_name": refused}


def _wait_for(port: int, seconds: float) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"nobody listens on port {port}")
