"""The kinds of training records that are made from our own index and knowledge."""

from __future__ import annotations

from collections.abc import Callable

from finetune.cited_answers import cited_records
from finetune.follow_up_records import follow_up_records
from finetune.grounding import Grounded, GroundingRules, Progress
from finetune.spoiled_answers import cited_preferences
from finetune.triage_records import routing_records, urgency_records
from rag.assistant import Assistant

KINDS: dict[str, Callable[[Assistant, GroundingRules, Progress], Grounded]] = {
    "cited": cited_records,
    "routing": routing_records,
    "urgency": urgency_records,
    "follow_up": follow_up_records,
    "preferences": cited_preferences,
}
BY_DEFAULT = ("cited", "routing", "urgency", "follow_up")
