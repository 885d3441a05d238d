"""Letters for the printing house: a CSV of addresses and a PDF with one page a letter.

The CSV has the columns that Japanese mailing houses ask for, in CP932 with CRLF and every field quoted. The PDF is A4 with
3 mm bleed, its fonts embedded, the address where a window envelope (長形3号, folded in three) shows it, and a QR code that
belongs to one person.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

COLUMNS = (
    "管理番号", "郵便番号", "都道府県", "住所1", "住所2", "会社名", "部署名", "役職", "氏名", "敬称", "見出し", "本文", "QR用URL",
)  # fmt: skip
_MM = 72 / 25.4
_WIDTH, _HEIGHT, _BLEED = 210 * _MM, 297 * _MM, 3 * _MM
_FONT = "enishi"
# Characters that must not begin a line (行頭禁則).
_NO_START = frozenset("、。，．・）」』】！？ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ)]}!?,.:;")
# One sign, two code points: what macOS and the web write, and what CP932 knows.
_CP932_TWINS = str.maketrans("\u2212\u2013\u2014\u2016\u301c¢£¬¥\u00a0", "－－―∥～￠￡￢￥ ")
_BODY_SIZES = tuple(half / 2 for half in range(22, 9, -1))


def letter_csv(letters: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the address file. Characters that CP932 lacks become 〓, the printers' own mark for a missing type."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for letter in letters:
        street = f"{letter['city']}{letter['address']}"
        writer.writerow(
            [
                letter["reference"],
                letter["postal_code"],
                letter["prefecture"],
                street,
                letter["building"],
                "",
                "",
                "",
                letter["name"],
                "様",
                letter["heading"],
                letter["body"],
                letter["url"],
            ]
        )
    text = _composed(out.getvalue()).translate(_CP932_TWINS)
    return "".join(char if _has_cp932(char) else "〓" for char in text).encode("cp932")


def _composed(text: str) -> str:
    """Join か and its mark to が, as macOS writes them apart; nothing else, because NFC would change kanji of names."""
    return re.sub("[ぁ-ヿ][\u3099\u309a]", lambda match: unicodedata.normalize("NFC", match[0]), text)


@lru_cache(maxsize=4096)
def _has_cp932(char: str) -> bool:
    try:
        char.encode("cp932")
    except UnicodeEncodeError:
        return False
    return True


def letter_pdf(letters: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the print-ready file, one page a letter; the same bytes for the same letters."""
    from reportlab.pdfgen.canvas import Canvas  # 130 ms, and only letters need it

    _register_font()
    out = io.BytesIO()
    canvas = Canvas(
        out,
        pagesize=(_WIDTH + 2 * _BLEED, _HEIGHT + 2 * _BLEED),
        pageCompression=1,
        invariant=1,  # no creation date: a retry writes the same file
        lang="ja",
        initialFontName=_FONT,  # ReportLab's default would leave an unembedded Helvetica in the file
        trimBox=(_BLEED, _BLEED, _WIDTH + _BLEED, _HEIGHT + _BLEED),
        bleedBox=(0, 0, _WIDTH + 2 * _BLEED, _HEIGHT + 2 * _BLEED),
    )
    for letter in letters:
        _page(canvas, letter)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@lru_cache(maxsize=1)
def _register_font() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    # The wheel is used for its font file alone; importing it would ask for matplotlib.
    spec = importlib.util.find_spec("matplotlib_fontja")
    if spec is None or not spec.submodule_search_locations:
        raise LookupError("the Japanese font is missing: install requirements.txt")
    font = Path(spec.submodule_search_locations[0]) / "fonts" / "ipaexg.ttf"
    pdfmetrics.registerFont(TTFont(_FONT, str(font)))


def _page(canvas: Any, letter: Mapping[str, Any]) -> None:
    canvas.setFillColorCMYK(0.55, 0, 0.55, 0.1)
    canvas.rect(0, _HEIGHT + _BLEED - 4 * _MM, _WIDTH + 2 * _BLEED, 4 * _MM + _BLEED, stroke=0, fill=1)
    canvas.translate(_BLEED, _BLEED)
    canvas.setFillGray(0)
    lines = [
        (10, f"〒{letter['postal_code']}"),
        (10, f"{letter['prefecture']}{letter['city']}{letter['address']}"),
        (10, letter["building"]),
        (13, f"{letter['name']}　様"),
    ]
    y = _HEIGHT - 22 * _MM
    for size, text in lines:
        for line in _wrap(text, size, 85 * _MM):
            canvas.setFont(_FONT, size)
            canvas.drawString(22 * _MM, y, line)
            y -= size * 1.5
    _body(canvas, letter)
    canvas.setFont(_FONT, 6)
    canvas.drawString(20 * _MM, 10 * _MM, letter["reference"])


def _body(canvas: Any, letter: Mapping[str, Any]) -> None:
    y = _HEIGHT - 110 * _MM
    for line in _wrap(letter["heading"], 16, 170 * _MM):
        canvas.setFont(_FONT, 16)
        canvas.drawString(20 * _MM, y, line)
        y -= 16 * 1.7
    y -= 8
    floor = (55 if letter["url"] else 13) * _MM  # the QR code, else the reference
    size, lines = _fitted(letter["body"], y - floor)
    for line in lines:
        canvas.setFont(_FONT, size)
        canvas.drawString(20 * _MM, y, line)
        y -= size * 1.7
    if letter["url"]:
        _qr(canvas, letter["url"], 155 * _MM, 20 * _MM, 35 * _MM)
        canvas.setFont(_FONT, 8)
        canvas.drawString(155 * _MM, 16 * _MM, "スマートフォンで読み取ってください")


def _fitted(text: str, height: float) -> tuple[float, list[str]]:
    """Return the largest size in which a text ends within `height`, and its lines."""
    size, lines = _BODY_SIZES[0], list[str]()
    for size in _BODY_SIZES:
        lines = list(_wrap(text, size, 170 * _MM))
        if (len(lines) - 1) * size * 1.7 <= height:
            break
    return size, lines


def _wrap(text: str, size: float, width: float) -> Iterator[str]:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    for paragraph in _composed(text).split("\n"):
        line, used = "", 0.0
        for char in paragraph:
            wide = stringWidth(char, _FONT, size)
            if line and char not in _NO_START and used + wide > width:
                yield line
                line, used = "", 0.0
            line += char
            used += wide
        if line or not paragraph:
            yield line


def _qr(canvas: Any, url: str, x: float, y: float, size: float) -> None:
    import segno

    rows = [bytes(row) for row in segno.make(url, error="m", micro=False).matrix]
    unit = size / (len(rows) + 8)  # four modules of quiet zone on each side (ISO/IEC 18004)
    path = canvas.beginPath()
    for j, row in enumerate(rows):
        for i, dark in enumerate(row):
            if dark:
                path.rect(x + (i + 4) * unit, y + size - (j + 5) * unit, unit * 1.01, unit * 1.01)
    canvas.setFillGray(0)
    canvas.drawPath(path, stroke=0, fill=1)
