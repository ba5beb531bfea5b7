"""The chat template training and serving share: the base's own, with the assistant's words marked.

Loss falls on what `{% generation %}` encloses, which must hold the stop token: a model that never learns to stop runs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from knowledge.errors import TrainingFailed, first_line

# for a base without a template: no token is added, so that no embedding has to be learnt from nothing
PLAIN = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ '患者/Patient: ' + message['content'] + '\\n' }}"
    "{% else %}{{ '助手/Assistant: ' }}{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}{{ '\\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '助手/Assistant: ' }}{% endif %}"
)
_PROBE = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "Q"},
    {"role": "assistant", "content": "A"},
    {"role": "user", "content": "R"},
    {"role": "assistant", "content": "B"},
]


def ensure_training_template(tokenizer: Any, chat_template: str, where: str) -> None:
    """Gives the tokenizer a template whose generation markers hold the answers and their stop tokens.

    Raises TrainingFailed where the base has no template, one that cannot be marked, or one that leaves out the stop token.
    """
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    if chat_template == "plain":
        if tokenizer.eos_token is None:
            raise TrainingFailed(f"{where}: its tokenizer has no end-of-text token, so an answer could not end")
        tokenizer.chat_template = PLAIN
    if not tokenizer.chat_template:
        raise TrainingFailed(f'{where}: its tokenizer has no chat template; set [base] chat_template = "plain"')
    if not has_generation_markers(tokenizer.chat_template):
        shown = _rendered(tokenizer, where)
        try:
            marked = get_training_chat_template(tokenizer)
        except ValueError:
            marked = None
        if marked is None:
            raise TrainingFailed(
                f"{where}: its chat template does not mark the assistant's words; enclose them and the stop token in "
                '{% generation %} and {% endgeneration %}, or set [base] chat_template = "plain"'
            )
        tokenizer.chat_template = marked
        if _rendered(tokenizer, where) != shown:
            raise TrainingFailed(
                f"{where}: the marked chat template renders otherwise than the base's own; mark it by hand"
            )
    _require_stop(tokenizer, where)


def supervised_spans(mask: Sequence[int]) -> list[tuple[int, int]]:
    """The runs of marked tokens, as (start, end)."""
    edges = [at for at in range(len(mask) + 1) if bool(at and mask[at - 1]) != bool(at < len(mask) and mask[at])]
    return list(zip(edges[::2], edges[1::2], strict=True))


def stop_token_ids(tokenizer: Any, generation_config: Any = None) -> set[int]:
    """The tokens that end an answer."""
    named = getattr(generation_config, "eos_token_id", None)
    ids = set(named if isinstance(named, list) else [] if named is None else [named])
    return ids | ({tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set())


def _rendered(tokenizer: Any, where: str) -> str:
    try:
        return str(tokenizer.apply_chat_template(_PROBE, tokenize=False))
    except Exception as fault:  # a template is a program: whatever it raises, it cannot render a dialogue
        raise TrainingFailed(f"{where}: its chat template cannot render a dialogue ({first_line(fault)})") from None


def _require_stop(tokenizer: Any, where: str) -> None:
    _rendered(tokenizer, where)
    encoded = tokenizer.apply_chat_template(_PROBE, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    ids, mask = encoded["input_ids"], encoded["assistant_masks"]
    spans = supervised_spans(mask)
    if not spans:
        raise TrainingFailed(
            f"{where}: its chat template marks none of the assistant's words; mend its generation markers"
        )
    stops = stop_token_ids(tokenizer)
    if any(
        stops.isdisjoint(ids[end - 2 : end]) for _, end in spans
    ):  # some templates mark the line break behind it too
        raise TrainingFailed(
            f"{where}: the marked words do not end on the stop token {tokenizer.eos_token!r}, so the model would never learn "
            "to stop; move it inside {% generation %}"
        )
