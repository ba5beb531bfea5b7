"""The bilingual tokenizer of a base trained from scratch: bytes, so that nothing is unknown and every text comes back as it was."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL = (PAD, END, SYSTEM, USER, ASSISTANT)  # numbers 0 to 4
# digits one by one, marks each alone, and a blank with the word before it: so a sentence has the same tokens wherever it
# stands, at the beginning of an answer or within a passage, and is copied surely
_PIECES = r"\p{N}|\p{Latin}+[ ]?|\p{Han}+|[^\s\p{L}\p{N}][ ]?|[^\S\r\n]+|[\r\n]+|\p{L}+|\p{M}+|."
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ '<|system|>' + message['content'] + '<|end|>' }}"
    "{% elif message['role'] == 'user' %}{{ '<|user|>' + message['content'] + '<|end|>' }}"
    "{% else %}{{ '<|assistant|>' }}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_base_tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level byte-pair tokenizer (`tokenizers.Tokenizer`) of so many tokens, the special ones first."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        max_token_length=18,  # bytes: six Chinese characters
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(SPECIAL),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    return tokenizer


def save_chat_tokenizer(tokenizer: Any, folder: Path, longest: int) -> None:
    """The tokenizer as transformers load it, with the chat template training and serving share."""
    from transformers import PreTrainedTokenizerFast

    chat = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT],
        model_max_length=longest,
        clean_up_tokenization_spaces=False,
    )
    chat.chat_template = CHAT_TEMPLATE
    chat.save_pretrained(str(folder))
