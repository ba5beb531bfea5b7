"""Faults of a Ray cluster as one line: what, where, and the remedy."""

from __future__ import annotations

import re

UNCHANGED = "nothing was changed"
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")


def refused(address: str, reason: str) -> str:
    """Why a cluster that is there did not take us."""
    if "Version mismatch" in reason:
        found = [f"Ray {ray} and Python {python}" for ray, python in _VERSIONS.findall(reason)]
        return (
            f"{address}: the cluster runs {', this machine '.join(found) or 'another Ray or Python'}; {UNCHANGED}; "
            "install the same Ray and Python on every machine"
        )
    where = address or "this machine"
    return (
        f"{where}: Ray would not start ({_line(reason, 0)}); {UNCHANGED}; this machine must be part of the cluster: "
        "`ray start --address HOST:PORT --disable-usage-stats` makes it so; "
        "a cluster that asks for a token wants the head's ~/.ray/auth_token here and RAY_AUTH_MODE=token"
    )


def line_of(fault: Exception) -> str:
    """What went wrong in the cluster, in one line."""
    text = str(fault)
    missing = next((line.strip() for line in text.splitlines() if "No module named" in line), None)
    if missing:
        return (
            f"a machine of the cluster lacks a library ({missing}); {UNCHANGED}; "
            "install the same daozhen with its extras on every machine"
        )
    return (
        f"the cluster could not do the work ({_line(text, -1)}); {UNCHANGED}; "
        "what was done is kept: start the command again, or leave out --engine ray"
    )


def _line(text: str, place: int) -> str:
    """The first (0) or last (-1) line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[place][:300] if lines else "no reason given"
