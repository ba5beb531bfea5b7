"""What a model's server means by a fault: whether to ask again, and when."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from rag.provider_faults import may_pass, refuses, retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_its_forms(headers, seconds):
    class Refused(Exception):
        response = type("Response", (), {"headers": headers})

    assert retry_after(Refused()) == seconds


def test_retry_after_may_be_a_date():
    class Refused(Exception):
        response = type("Response", (), {"headers": {"retry-after": formatdate(time.time() + 30, usegmt=True)}})

    assert 25 < retry_after(Refused()) <= 31


def test_what_may_pass_and_what_does_not():
    def fault(status: int) -> Exception:
        return type("Fault", (Exception,), {"status_code": status})()

    assert all(may_pass(fault(status)) for status in (408, 429, 500, 503, 529))
    assert not any(may_pass(fault(status)) for status in (307, 400, 401, 404))
    assert may_pass(ConnectionError()) and not may_pass(TypeError()) and not may_pass(KeyboardInterrupt())


def test_only_what_no_other_try_mends_is_a_refusal():
    def fault(status: int) -> Exception:
        return type("Fault", (Exception,), {"status_code": status})()

    assert all(refuses(fault(status)) for status in (400, 401, 404, 422))
    assert not any(refuses(fault(status)) for status in (307, 408, 429, 500))
    assert not refuses(ConnectionError())
