"""`daozhen data`: training data listed, checked, converted, cleaned, mixed, split, made and looked at."""

from __future__ import annotations

import click

from rag.config import quiet_libraries
from ui.data_catalogue import doctor, list_datasets, readers
from ui.data_making import ground, synthesise
from ui.data_mixture import mix, preview
from ui.data_records import clean, convert, split, stats


@click.group(no_args_is_help=True)
def data() -> None:
    """Data to train on: registries, conversion into one form, cleaning, mixing.

    \b
    daozhen data list
    daozhen data doctor --data ~/datasets
    daozhen data convert raw.json --out records.jsonl
    daozhen data clean records.jsonl --out clean.jsonl --against exam.jsonl --report removed.txt
    daozhen data mix finetune/configs/mix_sft.toml --data ~/datasets --out train.jsonl
    daozhen data preview train.jsonl
    """
    quiet_libraries()


for command in (list_datasets, doctor, readers, convert, stats, clean, mix, split, preview, ground, synthesise):
    data.add_command(command)
