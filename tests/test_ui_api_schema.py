"""Requests made up from the OpenAPI document, right ones and wrong ones: the answers are what the document says."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from ui.api import ApiSettings, make_api

KEY = "a-key-for-the-tests-0123456789"
OPERATIONS = {
    "POST /v1/chat/completions",
    "POST /v1/triage",
    "POST /v1/retrieve",
    "GET /v1/models",
    "GET /v1/models/{model}",
    "GET /health",
}
ALWAYS = [
    not_a_server_error,
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
# a chat without a word of the patient's is refused, which the document cannot say
OF_MODE = {
    (GenerationMode.POSITIVE, "POST /v1/retrieve"): [positive_data_acceptance],
    (GenerationMode.NEGATIVE, "POST /v1/retrieve"): [negative_data_rejection],
    (GenerationMode.NEGATIVE, "POST /v1/triage"): [negative_data_rejection],
    (GenerationMode.NEGATIVE, "POST /v1/chat/completions"): [negative_data_rejection],
}


@pytest.fixture(scope="module")
def schema(assistant):
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_api(assistant, ApiSettings(hosts=None, key=KEY)))
    rejection = schema.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]  # a wrong body may be too long as well
    return schema


def answerable(body: dict) -> None:
    """Mends what the document cannot say: which models there are, and that a talk is in one of its episodes."""
    if "model" in body:
        body["model"] = "daozhen"
    for holder in (body, body.get("daozhen") or {}):
        if isinstance(holder.get("conversation"), dict):
            holder["conversation"]["current"] = 0


def check(schema, label: str, mode: GenerationMode, examples: int) -> None:
    operations = {found.ok().label: found.ok() for found in schema.get_all_operations()}
    assert set(operations) == OPERATIONS

    @given(case=operations[label].as_strategy(generation_mode=mode))
    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def the_answer_is_as_documented(case):
        if mode is GenerationMode.POSITIVE and isinstance(case.body, dict):
            answerable(case.body)
        case.call_and_validate(
            headers={"Authorization": f"Bearer {KEY}"}, checks=[*ALWAYS, *OF_MODE.get((mode, label), [])]
        )

    the_answer_is_as_documented()


@pytest.mark.parametrize("label", sorted(OPERATIONS))
def test_what_the_document_allows_is_answered_as_it_says(schema, label):
    check(schema, label, GenerationMode.POSITIVE, 15)


@pytest.mark.parametrize("label", sorted(label for label in OPERATIONS if label.startswith("POST")))
def test_what_the_document_does_not_allow_is_refused(schema, label):
    check(schema, label, GenerationMode.NEGATIVE, 15)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("label", sorted(label for label in OPERATIONS if label.startswith("POST")))
def test_many_requests_are_answered_as_the_document_says(schema, label, mode):
    check(schema, label, mode, 300)
