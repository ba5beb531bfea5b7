"""Work spread over the machines of a Ray cluster by Ray Data; the one home of Ray.

Every process of the cluster runs the same daozhen, installed on its machine, on files that every machine sees under the
same path. A process or machine that dies costs the batch it held, which another does again. Nothing is reported to
anybody: usage statistics are off, and no dashboard is started.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from knowledge.errors import AssistantError, ClusterUnavailable, InvalidUsage, MissingExtra
from rag.engines import Doing, Item, Result, Work
from rag.ray_faults import UNCHANGED, line_of, refused

TRIES = 10  # of one batch: what has stopped so many processes would stop the next as well
OBJECT_STORE_BYTES = 1 << 30  # of a cluster started here; what is beyond goes to its folder for a while
CONNECT_SECONDS = 5.0
AUTO = "auto"  # Ray's word for the cluster this machine is part of
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113: the client's first words
_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # and each side's next
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_CARRIED = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "LANGSMITH_TRACING")


class RayEngine:
    """A cluster at an address "host:port", or one started on this machine where there is none.

    Connects with the first work that is more than one process does at once: a rebuild with nothing to do asks nobody,
    and a few new files are not worth the seconds that processes elsewhere take to start.
    """

    def __init__(self, address: str = "") -> None:
        if "://" in address:
            raise InvalidUsage(
                f"--address {address}: give HOST:PORT of the head node, and start the command on a machine of the cluster"
            )
        self.address = address
        self._connected = False
        self._own_folder: tempfile.TemporaryDirectory[str] | None = None  # of a Ray started here: its logs and overflow

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connected:
            import ray

            ray.shutdown()
            self._connected = False
        if self._own_folder is not None:
            self._own_folder.cleanup()
            self._own_folder = None

    def results(self, work: Work[Item, Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        if len(items) <= (0 if work.on_gpu else work.together):  # what one process does at once needs no cluster
            yield from enumerate(work.here(items))
            return
        ray = self._ray()
        from ray import cloudpickle
        from ray.exceptions import RayError

        starts = range(0, len(items), work.together)
        rows = [{"first": at, "load": cloudpickle.dumps(list(items[at : at + work.together]))} for at in starts]
        processes, needs = _share(work, ray.cluster_resources(), len(rows))
        tries = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Tries).remote()
        arrived = 0
        try:
            dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
                _Worker,
                fn_constructor_args=(cloudpickle.dumps(work.there), tries),
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=processes, initial_size=processes),
                **needs,
            )
            for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                for row in batch.to_pylist():
                    done = cloudpickle.loads(row["load"])
                    if isinstance(done, AssistantError):
                        raise done
                    arrived += len(done)
                    yield from enumerate(done, row["first"])
        except RayError as fault:
            raise ClusterUnavailable(line_of(fault)) from None
        if arrived != len(items):
            raise ClusterUnavailable(
                f"the cluster gave {arrived} of {len(items)} results; {UNCHANGED}; start the command again"
            )

    def _ray(self) -> Any:
        if not self.address:
            _bring_own_token()
        ray = quiet_ray()
        if not ray.is_initialized():
            self._connect(ray)
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        return ray

    def _connect(self, ray: Any) -> None:
        if self.address and self.address != AUTO:
            _knock(self.address)
        here: dict[str, Any] = {}
        if not self.address:
            self._own_folder = tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True)
            here = {
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": self._own_folder.name,
            }
        carried = {name: os.environ[name] for name in _CARRIED if name in os.environ}
        try:
            with _hushed():
                ray.init(
                    address=self.address or "local",
                    logging_level=logging.CRITICAL,
                    log_to_driver=False,
                    runtime_env={"env_vars": carried},
                    **here,
                )
        except Exception as fault:  # some of Ray's own are of no narrower kind
            raise ClusterUnavailable(refused(self.address, str(fault))) from None
        self._connected = True


def quiet_ray() -> Any:
    """The library, told to say nothing and to report nothing before it is loaded. Raises MissingExtra."""
    os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
    try:
        import ray
        import ray.data
    except ImportError as fault:
        raise MissingExtra(f"--engine ray: Ray is not installed ({fault}); pip install 'daozhen[ray]'") from None
    # what it tells of machines it lost would stand among what a program reads; there is no switch
    ray._private.worker.print_to_stdstream = lambda *_, **__: None
    return ray


def _bring_own_token() -> None:
    """A Ray started here asks whoever comes for a token: one made for the while, which is written nowhere."""
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


@contextmanager
def _hushed() -> Iterator[None]:
    """Ray's core says on standard error that it was asked to say nothing."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Tries:
    """How often each batch was begun; in a process of its own, so that it knows of those that died."""

    def __init__(self) -> None:
        self._of: dict[int, int] = {}

    def begun(self, first: int) -> int:
        self._of[first] = self._of.get(first, 0) + 1
        return self._of[first]


class _Worker:
    """In a process of the cluster: begins the work with its first batch, and stays ready for the next."""

    def __init__(self, there: bytes, tries: Any) -> None:
        self._there, self._tries = there, tries
        self._doing: Doing[Any, Any] | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        import ray
        from ray import cloudpickle

        done: list[Any] | AssistantError
        try:
            if ray.get(self._tries.begun.remote(row["first"])) > TRIES:
                raise ClusterUnavailable(
                    f"a batch stopped {TRIES} processes one after another, most likely for want of memory; "
                    f"{UNCHANGED}; give the machines more memory, or leave out --engine ray"
                )
            self._doing = self._doing or cloudpickle.loads(self._there)()
            done = list(self._doing(cloudpickle.loads(row["load"])))
        except AssistantError as fault:
            done = type(fault)(f"machine {socket.gethostname()}: {fault}")
        return {"first": row["first"], "load": cloudpickle.dumps(done)}


def _share(work: Work[Any, Any], resources: dict[str, float], batches: int) -> tuple[int, dict[str, float]]:
    """How many processes the work is spread over, and what each of them needs."""
    gpus = int(resources.get("GPU", 0)) if work.on_gpu else 0
    most = gpus or int(resources.get("CPU", 1))
    return max(1, min(most, batches)), {"num_gpus": 1} if gpus else {"num_cpus": 1}


def _knock(address: str) -> None:
    """Ray itself waits a minute where nobody is, and for ever where somebody else is."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InvalidUsage(f"--address {address}: not HOST:PORT, as `ray start --head` prints it")
    try:
        with socket.create_connection((host, int(port)), CONNECT_SECONDS) as line:
            line.settimeout(CONNECT_SECONDS)
            line.sendall(_HTTP2 + _SETTINGS)
            if line.recv(len(_SETTINGS))[3:4] != _SETTINGS[3:4]:
                raise OSError("what answers is no Ray")
    except (OSError, OverflowError) as fault:
        raise ClusterUnavailable(
            f"{address}: no Ray cluster answers there ({fault}); {UNCHANGED}; check the address, "
            "start one with `ray start --head --disable-usage-stats`, or leave out --engine ray"
        ) from None
