"""Refused rows, and the file of them that a spreadsheet opens; pure."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.imports.columns import Columns
from chalicelib.kernel.errors import DomainError

Explain = Callable[[DomainError], tuple[str, str]]  # Japanese, English
HEADER = ("行", "列", "理由", "Reason")
# With a byte order mark, so that a spreadsheet reads the Japanese right.
MARK = b"\xef\xbb\xbf"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that was not taken. line: where in the file it begins."""

    line: int
    error: DomainError
    cells: Sequence[str]


def refusal_line(refusal: Refusal, columns: Columns, explain: Explain) -> str:
    """Return the line of a refused row: where, which column, why in Japanese and English, and the row as it was."""
    field = refusal.error.details.get("field", "")
    place = columns.places.get(field)
    column = columns.header[place] if place is not None else field
    return error_line([str(refusal.line), column, *explain(refusal.error), *refusal.cells])


def header_line(columns: Columns) -> str:
    """Return the first line of the file: with these columns the rows can be put right and brought in again."""
    return error_line(errors_header(columns))


def errors_header(columns: Columns) -> list[str]:
    """Return the names of the columns of the file of refused rows."""
    return [*HEADER, *columns.header]


def error_line(row: Sequence[str]) -> str:
    """Return one CSV line; a cell that a spreadsheet would run as a formula is disarmed with an apostrophe."""
    out = io.StringIO(newline="")
    safe = [f"'{cell}" if cell.startswith(_FORMULA) and not re.fullmatch(r"[+-]?[\d.,-]+", cell) else cell for cell in row]
    csv.writer(out, lineterminator="\r\n").writerow(safe)
    return out.getvalue().encode("utf-8", "replace").decode()


def bare(error: DomainError) -> tuple[str, str]:
    """Return an error's code in the place of sentences."""
    return error.code, error.code
