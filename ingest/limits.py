"""What a source file may cost before it is left out: each bound with its unit, its default and the reason for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rag.config import SETTINGS_FILE, home_dir, load_table

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
        config = home_dir() / SETTINGS_FILE
    return load_table(config, "reading", ReadingLimits())
