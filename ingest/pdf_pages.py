"""The pages of a PDF, one at a time and then forgotten: memory does not grow.

pypdf has its home here and in pdf_operators.py and pdf_fonts.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ingest.documents import SourceFile
from ingest.page_content import PageContent
from ingest.pdf_operators import PageInterpreter
from knowledge.errors import UnreadableSource

if TYPE_CHECKING:
    from pypdf import PdfReader

_FONTS_KEPT = 64


def pages_of(file: SourceFile) -> Iterator[PageContent | UnreadableSource]:
    """The pages in order; a fault in place of a page that cannot be read. Raises UnreadableSource where none can."""
    from pypdf import PdfReader, apply_configuration, get_configuration
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    limits = file.limits
    bounds = get_configuration().with_overwrites(
        zlib_maximum_output_length=limits.max_unpacked_bytes // 4,
        page_tree_maximum_depth=limits.max_nesting,
        maximum_declared_stream_length=limits.max_file_bytes,
    )
    with apply_configuration(bounds), file.path.open("rb") as stream:
        try:
            reader = PdfReader(stream)
            if reader.is_encrypted and not reader.decrypt(""):
                raise file.fault("encrypted", "save a copy without a password")
            count = len(reader.pages)
        except (DependencyError, FileNotDecryptedError):
            raise file.fault("encrypted", "save a copy without a password") from None
        except (LimitReachedError, RecursionError) as fault:
            raise file.fault(f"beyond the limits of a PDF ({type(fault).__name__})", "export it again") from None
        except PyPdfError as fault:
            raise file.fault(f"not a readable PDF ({type(fault).__name__})", "export it again") from None
        if count > limits.max_pages:
            raise file.fault(f"{count:,} pages, more than {limits.max_pages:,}", "split it, or raise reading.max_pages")
        yield from _each_page(file, reader, count)


def _each_page(file: SourceFile, reader: PdfReader, count: int) -> Iterator[PageContent | UnreadableSource]:
    fonts: dict[Any, Any] = {}
    labels = _labels(reader, count)
    for number in range(1, count + 1):
        try:
            label = labels[number - 1] if labels else None
            yield PageInterpreter(reader, number, label, fonts).content
        except MemoryError:
            raise
        except Exception as fault:  # a page made to break the parser; the other pages can be read
            reason = (
                "more than may be unpacked" if type(fault).__name__ == "LimitReachedError" else type(fault).__name__
            )
            yield file.fault(f"page cannot be read ({reason})", "export the document again")
        reader.resolved_objects.clear()  # or every page's streams stay in memory
        reader.pages[number - 1].clear()
        while len(fonts) > _FONTS_KEPT:
            fonts.pop(next(iter(fonts)))


def _labels(reader: PdfReader, count: int) -> list[str] | None:
    """The printed names of the pages, where the document gives any."""
    try:
        if "/PageLabels" not in reader.root_object:
            return None
        labels = list(reader.page_labels)
        return labels if len(labels) == count else None
    except Exception:  # a broken label tree costs labels, not pages
        return None
