"""A teacher model with replies written beforehand, and a passage it makes pairs of."""

from __future__ import annotations

import json
from pathlib import Path

from langchain_core.language_models import FakeListChatModel

from finetune.synthesis_items import SourcePassage
from finetune.teacher import ReplyCache, Teacher

PASSAGE = SourcePassage(
    "足底筋膜炎的人早上下床第一步最疼。换软底的鞋并拉伸小腿，多数人3个月内好转。两周没有好转要看骨科。",
    "足底筋膜炎",
    "骨科",
)
GOOD = {"question": "脚后跟疼多久能好？", "answer": "多数人3个月内好转。", "quote": "多数人3个月内好转"}


def reply_of(*pairs: dict) -> str:
    return json.dumps({"qa_pairs": list(pairs)}, ensure_ascii=False)


def teacher_that_says(tmp_path: Path, *replies: str, **options) -> Teacher:
    return Teacher(
        FakeListChatModel(responses=list(replies)),
        "scripted",
        ReplyCache(tmp_path / "replies.sqlite"),
        pause=lambda seconds: None,
        **options,
    )
