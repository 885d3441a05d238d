"""A CSV file of any size, row by row, from any row on: what Japanese systems write in encodings and delimiters; pure."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chalicelib.kernel.errors import InvalidError

Read = Callable[[int, int], bytes]  # so many bytes from an offset on, fewer at the end
WINDOW = 1 << 20
MOST_ROW = 1 << 23
ASCII = "ascii"  # nothing but, as far as we have looked: what it is besides, the first other letter shows
ENCODINGS = ("utf-8", "cp932", "utf-16-le", "utf-16-be")
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# What CP932 decodes from bytes that no text holds: a sign that the file is something else.
_CP932_JUNK = re.compile("[\x80\xa0\uf8f0-\uf8f3]")
_BROKEN = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Record:
    """One row. line: where in the file it begins; end: the offset of the byte after it; next_line: the line there."""

    line: int
    cells: list[str]
    end: int
    next_line: int

    @property
    def is_blank(self) -> bool:
        """Say whether nothing is written in it."""
        return not any(cell.strip() for cell in self.cells)

    @property
    def is_broken(self) -> bool:
        """Say whether it has bytes that are no letters in its file's encoding."""
        return any(not cell.isascii() and _BROKEN.search(cell) for cell in self.cells)

    @property
    def letters(self) -> list[str]:
        """Return the cells to be shown, with U+FFFD for bytes that are no letters."""
        return [_BROKEN.sub("\ufffd", cell) for cell in self.cells]


def encoding_of(content: bytes, *, is_whole: bool) -> tuple[str, int]:
    """Return the encoding of a file's beginning and how many bytes of mark stand before the text.

    Exact tests instead of a guess: detectors take short CP932 files for UTF-16. is_whole: nothing comes after `content`.
    Raises InvalidError(`import.encoding_unknown`).
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            _text(content[len(mark) :], encoding, is_whole=is_whole)
            return encoding, len(mark)
    if b"\x00" in content:
        encoding = "utf-16-le" if content[1::2].count(0) > content[::2].count(0) else "utf-16-be"
        _text(content, encoding, is_whole=is_whole)
        return encoding, 0
    if content.isascii():
        return ASCII, 0
    try:
        _text(content, "utf-8", is_whole=is_whole)
    except InvalidError:
        if _CP932_JUNK.search(_text(content, "cp932", is_whole=is_whole)):
            raise
        return "cp932", 0
    return "utf-8", 0


def mark_of(content: bytes, encoding: str) -> int:
    """Return how many bytes of an encoding's mark stand at a file's beginning."""
    return next((len(mark) for mark, name in _MARKS if name == encoding and content.startswith(mark)), 0)


def _text(content: bytes, encoding: str, *, is_whole: bool) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(content, is_whole)
    except UnicodeDecodeError as error:
        raise InvalidError("import.encoding_unknown") from error


def encoding_beyond(read: Read, position: int) -> str:
    """Return the encoding of a file whose beginning says nothing: its first letter that is not ASCII decides."""
    while True:
        content = read(position, WINDOW)
        encoding, _ = encoding_of(content, is_whole=len(content) < WINDOW)
        if encoding != ASCII or len(content) < WINDOW:
            return encoding
        position += len(content)


class _Lines:
    """Lines of a window, counted as they are taken. is_out: asked for one more than there are."""

    def __init__(self, text: str, encoding: str, *, is_last: bool) -> None:
        self._lines = iter(io.StringIO(text, newline=""))
        self._ahead = next(self._lines, "")
        self._encoding, self._is_last = encoding, is_last
        self._unit = 2 if encoding.startswith("utf-16") else 1
        self.taken = 0
        self.count = 0
        self.is_out = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, self._ahead = self._ahead, next(self._lines, "")
        # The last line of a window may go on in the next one; after its CR a LF may.
        if not line or not (self._ahead or self._is_last or line.endswith("\n")):
            self.is_out = True
            raise StopIteration
        # Whatever is no letter has been kept as it was, so that this is its length in the file.
        self.taken += self._unit * len(line) if line.isascii() else len(line.encode(self._encoding, _errors(self._encoding)))
        self.count += 1
        return line


def _errors(encoding: str) -> str:
    return "surrogatepass" if encoding.startswith("utf-16") else "surrogateescape"


def records(read: Read, encoding: str, delimiter: str, position: int, line: int, window: int = WINDOW) -> Iterator[Record]:
    """Yield the rows of a file from the one on that begins at a byte and a line, in windows of so many bytes.

    However the file is cut into windows, the rows are those of the csv module over the whole. Raises
    InvalidError(`import.quotes_broken`, `import.row_too_long`).
    """
    size = window
    while True:
        content = read(position, size)
        is_last = len(content) < size
        try:
            text = codecs.getincrementaldecoder(encoding)(_errors(encoding)).decode(content, is_last)
        except UnicodeDecodeError as error:  # half a letter at the end
            raise InvalidError("import.encoding_unknown") from error
        lines = _Lines(text, encoding, is_last=is_last)
        start, first = position, line
        try:
            for cells in csv.reader(lines, delimiter=delimiter, strict=True):
                begins, position, line = line, start + lines.taken, first + lines.count
                yield Record(begins, cells, position, line)
        except csv.Error as error:
            if is_last or not lines.is_out:
                raise InvalidError("import.quotes_broken", line=line) from error
        if is_last:
            return
        if position > start:
            size = window
        elif size >= MOST_ROW:
            raise InvalidError("import.row_too_long", line=line, most=MOST_ROW)
        else:
            size *= 2
