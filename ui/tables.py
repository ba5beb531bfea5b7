"""Tables on the terminal: as wide as it is, whole where the output is read by a program or a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under a header, columns aligned (a Chinese character is two wide)."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in header:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    out = io.StringIO()
    Console(
        file=out, width=None if sys.stdout.isatty() else 400, force_terminal=False, highlight=False, markup=False
    ).print(grid)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())
