"""The staff's password: kept only as a scrypt hash, compared in constant time, guessed no faster than the throttle lets."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from knowledge.errors import InvalidSettings, InvalidUsage

FILE, VARIABLE = "staff_password.json", "DAOZHEN_STAFF_PASSWORD"
MIN_CHARS = 10
SET_IT = "set one: `daozhen chat --staff --set-password`"
# OWASP Password Storage Cheat Sheet: scrypt with N = 2^17, r = 8, p = 1; 128 MiB and about half a second each
_COST = {"n": 2**17, "r": 8, "p": 1}
_MAX_MEMORY = 256 * 2**20
_FREE_TRIES, _FIRST_WAIT, _LONGEST_WAIT = 5, 2.0, 900.0  # tries, seconds, seconds


def set_password(home: Path, password: str) -> Path:
    """Keeps a password's hash, readable by the owner alone. Raises InvalidUsage for one that is too short."""
    if len(password) < MIN_CHARS:
        raise InvalidUsage(f"the staff password needs at least {MIN_CHARS} characters; choose a longer one")
    home.mkdir(parents=True, exist_ok=True)
    salt = secrets.token_bytes(16)
    values = {"scheme": "scrypt", **_COST, "salt": salt.hex(), "hash": _hash(password, salt, **_COST).hex()}
    path, fresh = home / FILE, home / f"{FILE}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(values, file)
    os.replace(fresh, path)
    return path


def has_password(home: Path) -> bool:
    """Whether a password was ever set in that home folder."""
    return (home / FILE).is_file()


def password_state(home: Path) -> str:
    """Changes with the password: who was let in with the old one is not with the new."""
    try:
        return hashlib.sha256((home / FILE).read_bytes()).hexdigest()
    except OSError:
        return ""


def is_right(home: Path, password: str) -> bool:
    """Whether it is the password. Raises InvalidSettings where its file is missing or damaged."""
    path = home / FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        cost = {name: int(kept[name]) for name in _COST}
        right, salt = bytes.fromhex(kept["hash"]), bytes.fromhex(kept["salt"])
        given = _hash(password, salt, **cost)
    except (OSError, ValueError, KeyError, TypeError):
        raise InvalidSettings(f"{path}: missing or not as it was written; {SET_IT}") from None
    return hmac.compare_digest(given, right)


def _hash(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_MEMORY, dklen=32)


@dataclass
class Throttle:
    """Slows guessing, for all who try together: after the free tries each wrong one doubles the wait.

    now: seconds on a clock that never goes back.
    """

    now: Callable[[], float] = time.monotonic
    wrong: int = 0
    until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def try_password(self, home: Path, password: str) -> bool | float:
        """True, False, or the seconds to wait; one try at a time, so that many at once gain nothing."""
        with self._lock:
            wait = self.until - self.now()
            if wait > 0:
                return wait
            if is_right(home, password):
                self.wrong, self.until = 0, 0.0
                return True
            self.wrong += 1
            beyond = self.wrong - _FREE_TRIES
            if beyond >= 0:
                self.until = self.now() + min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(beyond, 20))
            return False
