"""What a language model's server means by a fault: whether another try may help, and when it wants to be asked again."""

from __future__ import annotations

import email.utils
import time

PASSING = frozenset({408, 409, 425, 429})  # statuses that another try may mend, with all from 500 on


def may_pass(fault: BaseException) -> bool:
    """Whether the same request may succeed a moment later: no connection, a busy or broken server; not a refusal."""
    status = getattr(fault, "status_code", None)
    if isinstance(status, int):
        return status in PASSING or status >= 500
    return isinstance(fault, Exception) and not isinstance(fault, TypeError | AttributeError | KeyError)


def refuses(fault: BaseException) -> bool:
    """Whether asking again cannot help: the key is wrong, the model is not there, the request itself is refused."""
    status = getattr(fault, "status_code", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in PASSING


def retry_after(fault: BaseException | None) -> float | None:
    """Seconds after which a server that refused wants to be asked again; None where it does not say."""
    headers = getattr(getattr(fault, "response", None), "headers", None) or {}
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) * unit)
        except (KeyError, ValueError):
            continue
    try:
        when = email.utils.parsedate_to_datetime(headers["retry-after"])
        return max(0.0, when.timestamp() - time.time())
    except (KeyError, ValueError):
        return None
