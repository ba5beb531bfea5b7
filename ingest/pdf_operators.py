"""The operators of a PDF's page, followed with pypdf's parser: its own text extraction gives neither colours nor a place for each piece."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ingest.page_content import PageContent, Span
from ingest.page_space import IDENTITY, Matrix, at, box_between, times, turned
from ingest.pdf_fonts import PageFont
from ingest.pdf_paths import DrawnPaths
from ingest.pdf_state import GraphicsState, is_white

if TYPE_CHECKING:
    from pypdf import PdfReader

_DEEPEST_FORM = 12
_MOST_FORMS = 500  # drawn on one page
_MOST_SPANS = 60_000  # pieces of text on one page


class PageInterpreter:
    """Follows the operators of one page."""

    def __init__(self, reader: PdfReader, number: int, label: str | None, fonts: dict[Any, Any]) -> None:
        page = reader.pages[number - 1]
        self.reader, self.fonts = reader, fonts
        box = page.cropbox
        left, bottom = float(box.left), float(box.bottom)
        self.content = PageContent(number, label if label != str(number) else None, float(box.width), float(box.height))
        self.state = GraphicsState(ctm=turned(page.rotation, left, bottom, self.content))
        self.tm = self.line = IDENTITY
        self.stack: list[GraphicsState] = []
        self.paths = DrawnPaths(self.content.rules)
        self.suspects: list[tuple[Span, str]] = []
        self.forms = 0
        contents = page.get("/Contents")
        if contents is not None:
            self._run(contents.get_object(), page.get("/Resources"), 0)
        self._judge()

    def _run(self, contents: Any, resources: Any, depth: int) -> None:
        from pypdf.generic import ContentStream, NullObject

        if isinstance(contents, NullObject):
            return
        found = resources.get_object() if resources is not None else {}
        resources = found if hasattr(found, "get") else {}
        for operands, operator in ContentStream(contents, self.reader, "bytes").operations:
            try:
                self._operate(operator, operands, resources, depth)
            except (IndexError, TypeError, ValueError, KeyError, AttributeError, OverflowError):
                continue  # one bad operator; viewers pass over it too

    def _operate(self, operator: bytes, operands: Any, resources: Any, depth: int) -> None:
        handler = _OPERATORS.get(operator)
        if handler is not None:
            handler(self, operands, resources)
        elif operator == b"Do":
            self._draw(operands[0], resources, depth)

    # graphics state

    def _save(self, operands: Any, resources: Any) -> None:
        if len(self.stack) < 1000:
            self.stack.append(self.state)

    def _restore(self, operands: Any, resources: Any) -> None:
        if self.stack:
            self.state = self.stack.pop()

    def _concatenate(self, operands: Any, resources: Any) -> None:
        self._set(ctm=times(tuple(float(value) for value in operands[:6]), self.state.ctm))

    def _colour(self, operands: Any, resources: Any) -> None:
        self._set(is_white=is_white([float(value) for value in operands if isinstance(value, int | float)]))

    def _extended(self, operands: Any, resources: Any) -> None:
        state = resources["/ExtGState"].get_object()[operands[0]].get_object()
        if "/ca" in state:
            self._set(is_clear=float(state["/ca"]) <= 0.02)

    def _set(self, **values: Any) -> None:
        self.state = replace(self.state, **values)

    # paths: ruling lines and filled areas

    def _point(self, x: Any, y: Any) -> tuple[float, float]:
        return at(self.state.ctm, float(x), float(y))

    def _move(self, operands: Any, resources: Any) -> None:
        self.paths.move(self._point(*operands[:2]))

    def _line_to(self, operands: Any, resources: Any) -> None:
        self.paths.line_to(self._point(*operands[:2]))

    def _rectangle(self, operands: Any, resources: Any) -> None:
        x, y, width, height = (float(value) for value in operands[:4])
        self.paths.rectangle(self._point(x, y), self._point(x + width, y + height))

    def _fill(self, operands: Any, resources: Any) -> None:
        self.paths.paint(fill=not self.state.is_white)

    def _fill_and_stroke(self, operands: Any, resources: Any) -> None:
        self.paths.paint(fill=not self.state.is_white, stroke=True)

    # text

    def _begin_text(self, operands: Any, resources: Any) -> None:
        self.tm = self.line = IDENTITY

    def _font(self, operands: Any, resources: Any) -> None:
        self._set(font=self._font_named(operands[0], resources), size=float(operands[1]))

    def _next_line(self, operands: Any, resources: Any) -> None:
        self.tm = self.line = times((1, 0, 0, 1, float(operands[0]), float(operands[1])), self.line)

    def _next_line_leading(self, operands: Any, resources: Any) -> None:
        self._set(leading=-float(operands[1]))
        self._next_line(operands, resources)

    def _text_matrix(self, operands: Any, resources: Any) -> None:
        values = tuple(float(value) for value in operands[:6])
        self.tm = self.line = values if len(values) == 6 else IDENTITY

    def _new_line(self, operands: Any, resources: Any) -> None:
        self._next_line((0, -self.state.leading), resources)

    def _show(self, operands: Any, resources: Any) -> None:
        self._shown([operands[0]])

    def _show_adjusted(self, operands: Any, resources: Any) -> None:
        self._shown(operands[0])

    def _show_on_new_line(self, operands: Any, resources: Any) -> None:
        self._new_line((), resources)
        self._shown([operands[-1]])

    def _shown(self, parts: Any) -> None:
        """One Tj or TJ as one span; a wide shift inside it is a blank."""
        state = self.state
        if state.font is None:
            return
        start = self.tm
        text, advance = "", 0.0
        for part in parts:
            if isinstance(part, int | float):
                shift = -float(part) / 1000 * state.size * state.scale
                if shift > 0.2 * state.size and text and not text.endswith(" "):
                    text += " "
                advance += shift
            else:
                piece, width = state.font.decoded(part)
                spaces = piece.count(" ")
                advance += (
                    width / 1000 * state.size + state.char_space * len(piece) + state.word_space * spaces
                ) * state.scale
                text += piece
        self.tm = times((1, 0, 0, 1, advance, 0), self.tm)
        if text.strip() and len(self.content.spans) < _MOST_SPANS:
            self._place(text, start, advance)

    def _place(self, text: str, start: Matrix, advance: float) -> None:
        state = self.state
        placed = times(start, state.ctm)
        x, y = at(placed, 0, state.rise)
        end_x, end_y = at(placed, advance, state.rise)
        size = abs(state.size) * (placed[2] ** 2 + placed[3] ** 2) ** 0.5
        if abs(end_y - y) > abs(end_x - x) + 1:
            return  # turned on its side: a watermark or a margin note
        span = Span(min(x, end_x), max(x, end_x), y, size, text, state.font.is_bold)
        if how := state.unseen_how(span, self.content):
            self.suspects.append((span, how))
        else:
            self.content.spans.append(span)

    def _judge(self) -> None:
        """White letters on a coloured area or a picture can be read; undrawn ones over a picture are a scan's text layer."""
        for span, how in self.suspects:
            x, y = (span.x0 + span.x1) / 2, span.y + span.size * 0.3
            on_picture = any(box.holds(x, y) for box in self.content.pictures)
            on_colour = how == "white" and any(box.holds(x, y) for box in self.paths.fills)
            if on_colour or (how in ("white", "not drawn") and on_picture):
                self.content.spans.append(span)
            else:
                self.content.hidden.setdefault(how, []).append(span.text)

    # resources

    def _font_named(self, name: Any, resources: Any) -> Any:
        fonts = resources["/Font"].get_object()
        reference = fonts.raw_get(name)
        key = (reference.idnum, reference.generation) if hasattr(reference, "idnum") else id(reference)
        if key not in self.fonts:
            self.fonts[key] = PageFont(reference.get_object())
        return self.fonts[key]

    def _draw(self, name: Any, resources: Any, depth: int) -> None:
        thing = resources["/XObject"].get_object()[name].get_object()
        if thing.get("/Subtype") == "/Image":
            corners = at(self.state.ctm, 0, 0), at(self.state.ctm, 1, 1)
            if len(self.content.pictures) < 2_000:
                self.content.pictures.append(box_between(*corners))
            return
        self.forms += 1
        if depth >= _DEEPEST_FORM or self.forms > _MOST_FORMS:
            return
        kept, stack, tm, line = self.state, self.stack, self.tm, self.line
        self.stack = []
        matrix = [float(value) for value in thing.get("/Matrix", [])]
        if len(matrix) == 6:
            self._set(ctm=times(tuple(matrix), self.state.ctm))
        self._run(thing, thing.get("/Resources", resources), depth + 1)
        self.state, self.stack, self.tm, self.line = kept, stack, tm, line


_OPERATORS: dict[bytes, Any] = {
    b"q": PageInterpreter._save,
    b"Q": PageInterpreter._restore,
    b"cm": PageInterpreter._concatenate,
    b"gs": PageInterpreter._extended,
    **dict.fromkeys((b"g", b"rg", b"k", b"sc", b"scn"), PageInterpreter._colour),
    b"cs": lambda page, operands, resources: page._set(is_white=False),
    b"m": PageInterpreter._move,
    b"l": PageInterpreter._line_to,
    b"re": PageInterpreter._rectangle,
    **dict.fromkeys((b"S", b"s"), lambda page, operands, resources: page.paths.paint(stroke=True)),
    **dict.fromkeys((b"f", b"F", b"f*"), PageInterpreter._fill),
    **dict.fromkeys((b"B", b"B*", b"b", b"b*"), PageInterpreter._fill_and_stroke),
    b"n": lambda page, operands, resources: page.paths.paint(),
    b"BT": PageInterpreter._begin_text,
    b"Tf": PageInterpreter._font,
    b"Td": PageInterpreter._next_line,
    b"TD": PageInterpreter._next_line_leading,
    b"Tm": PageInterpreter._text_matrix,
    b"T*": PageInterpreter._new_line,
    b"Tc": lambda page, operands, resources: page._set(char_space=float(operands[0])),
    b"Tw": lambda page, operands, resources: page._set(word_space=float(operands[0])),
    b"Tz": lambda page, operands, resources: page._set(scale=float(operands[0]) / 100),
    b"TL": lambda page, operands, resources: page._set(leading=float(operands[0])),
    b"Ts": lambda page, operands, resources: page._set(rise=float(operands[0])),
    b"Tr": lambda page, operands, resources: page._set(mode=int(operands[0])),
    b"Tj": PageInterpreter._show,
    b"TJ": PageInterpreter._show_adjusted,
    b"'": PageInterpreter._show_on_new_line,
    b'"': PageInterpreter._show_on_new_line,
}
