"""A cited answer with some words exchanged, in prompt and answer alike: what stands there can only be read, not known.

The guides come back in thousands of rows. A model that has learnt a sentence of theirs by heart writes it from memory,
whatever stands in its prompt, and is wrong as soon as a hospital's own text says it otherwise. Where the same sentence
comes with other words each time, memory never helps and copying always does.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace

from finetune.records import DialogueRecord, Message
from knowledge.prompts import answer_messages
from knowledge.records import LANGUAGES
from knowledge.script import HAN

EXCHANGED = (2, 6)  # words of an answer, least and most
_WORD = re.compile(rf"[{HAN}]{{2}}|(?<![A-Za-z])[a-z]{{4,}}(?![A-Za-z])")
NUMBER = re.compile(r"(?<![\[\d.])\d+(?![\]\d.])")  # a whole number that is no key
_KEY = re.compile(r"\[\d+\]")
_FORM = "".join(message.content for language in LANGUAGES for message in answer_messages("", (), language, "", ""))


def altered(record: DialogueRecord, rng: random.Random) -> DialogueRecord:
    """The record with a few words and the numbers of its answer exchanged for others, wherever they stand.

    System words, keys and the words of the prompt's form stay; the record comes back as it is where its answer has no
    key, for example because it abstains.
    """
    answer, asked = record.messages[-1].content, record.messages[0].content
    if len(record.messages) != 2 or not _KEY.search(answer):
        return record
    fitting = sorted({word for word in _WORD.findall(answer) if word not in _FORM})
    others = sorted({word for word in _WORD.findall(asked) if word not in _FORM and word not in answer})
    exchanges: dict[str, str] = {}
    for word in rng.sample(fitting, min(len(fitting), rng.randint(*EXCHANGED))):
        alike = [one for one in others if one.isascii() == word.isascii()]
        if alike:
            exchanges[word] = rng.choice(alike)
    numbers = {number: _another(number, rng) for number in sorted(set(NUMBER.findall(answer)))}

    def told(text: str) -> str:
        for word, other in exchanges.items():
            text = text.replace(word, other)
        return NUMBER.sub(lambda found: numbers.get(found[0], found[0]), text)

    messages = (Message("user", told(asked)), Message("assistant", told(answer)))
    return replace(record, messages=messages, passages=tuple(map(told, record.passages)))


def _another(number: str, rng: random.Random) -> str:
    """Another number of as many digits."""
    lowest = 10 ** (len(number) - 1) if len(number) > 1 else 0
    step = rng.randrange(1, 10 ** len(number) - lowest)
    return str(lowest + (int(number) - lowest + step) % (10 ** len(number) - lowest)).zfill(len(number))
