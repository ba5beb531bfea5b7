"""What a source file may cost before it is left out: each bound with its unit, its default and the reason for it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from knowledge.errors import InvalidSettings

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReadingLimits:
    """Bounds on reading one file; the `[reading]` table of config.toml changes each by its name.

    The defaults let through every guideline, formulary and disease collection we have seen, by a wide margin,
    and stop files made to exhaust the machine.
    """

    max_file_bytes: int = 256 * MIB
    max_pages: int = 5_000  # of a PDF; sheets of a workbook count too
    max_unpacked_bytes: int = 512 * MIB  # of a .docx or .xlsx in all, and of all streams of a PDF page
    max_unpacked_ratio: int = 200  # unpacked to packed size of one part of a .docx or .xlsx; text packs 5-20 times
    max_text_chars: int = 64_000_000  # of text taken from one file: a small file can repeat one long string
    max_nesting: int = (
        100  # objects in objects of JSON, elements in elements of HTML and .docx, levels of a PDF page tree
    )
    seconds_per_file: float = 300.0  # wall time, whatever the size; 2,000 pages of a PDF take 40-110 s
    seconds_per_mib: float = 5.0  # wall time on top of it for each MiB: large collections may take theirs
    max_memory_bytes: int = 2048 * MIB  # address space of the process that reads, where the system can hold it

    def seconds_for(self, size_bytes: int) -> float:
        """The wall time in which a file of a size must be read."""
        return self.seconds_per_file + self.seconds_per_mib * size_bytes / MIB


def load_limits(config: Path | None = None) -> ReadingLimits:
    """The limits in the `[reading]` table of a config.toml, the defaults elsewhere. Raises InvalidSettings naming the key."""
    if config is None:
        from rag.config import SETTINGS_FILE, home_dir

        config = home_dir() / SETTINGS_FILE
    if not config.is_file():
        return ReadingLimits()
    try:
        chosen = tomllib.loads(config.read_text(encoding="utf-8")).get("reading", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise InvalidSettings(f"{config}: not readable TOML ({fault}); mend or remove it") from None
    known = [field.name for field in fields(ReadingLimits)]
    if not isinstance(chosen, dict):
        raise InvalidSettings(f"{config}: reading is no table; write [reading] and below it one of: {', '.join(known)}")
    for key, value in chosen.items():
        if key not in known:
            raise InvalidSettings(f"{config}: unknown setting reading.{key}; known: {', '.join(known)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise InvalidSettings(f"{config}: reading.{key} is {value!r}; it needs a number above 0")
    return replace(ReadingLimits(), **{key: type(getattr(ReadingLimits, key))(value) for key, value in chosen.items()})
