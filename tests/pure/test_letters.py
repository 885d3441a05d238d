"""Letters: an address file that a printing house can read, and pages on which nothing is lost."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from pypdf import PdfReader

from chalicelib.delivery.letters import COLUMNS, letter_csv, letter_pdf


def letter(**more: Any) -> dict[str, Any]:
    return {
        "reference": "L-1", "postal_code": "100-0001", "prefecture": "東京都", "city": "千代田区", "address": "千代田1-1", "building": "縁ビル",
        "name": "髙﨑 花子", "heading": "お久しぶりです", "body": "お元気ですか。\nまたお会いしましょう。", "url": "https://crm.test/r/abc.def", **more,
    }  # fmt: skip


def test_the_address_file_is_cp932_with_crlf_and_every_field_quoted() -> None:
    content = letter_csv([letter(), letter(reference="L-2", name='山"田')])
    text = content.decode("cp932")
    assert text.count("\r\n") == 3 and text.endswith("\r\n")
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert rows[1][:5] == ["L-1", "100-0001", "東京都", "千代田区千代田1-1", "縁ビル"]
    assert rows[1][8:10] == ["髙﨑 花子", "様"] and rows[2][8] == '山"田'
    assert text.startswith('"管理番号","郵便番号"') and '"","",""' in text
    assert [len(row) for row in rows] == [len(COLUMNS)] * 3


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("𠮷田", "〓田"),
        ("髙﨑①", "髙﨑①"),
        # The same signs under other code points, as macOS and the web write them: 1−2−3 must not become 1〓2〓3.
        ("1\u22122\u22123〜", "1－2－3～"),
        ("\u2014\u2016¢£¬", "―∥￠￡￢"),
        ("¥1,000", "￥1,000"),
        ("\ufa19谷", "\ufa19谷"),  # NFC would make it \u795e, which is not how he writes his name
        ("か\u3099き\u3099", "がぎ"),
        ("1\u20132\u00a03", "1－2 3"),
    ],
)
def test_characters_survive_as_what_cp932_calls_them(written: str, printed: str) -> None:
    rows = list(csv.reader(io.StringIO(letter_csv([letter(name=written)]).decode("cp932"), newline="")))
    assert rows[1][8] == printed


def test_the_pdf_has_one_page_a_letter_with_its_font_inside_and_room_to_cut() -> None:
    reader = PdfReader(io.BytesIO(letter_pdf([letter(), letter(name="田中 太郎", building="")])))
    assert len(reader.pages) == 2
    first, second = (page.extract_text() for page in reader.pages)
    for words in ("〒100-0001", "東京都千代田区千代田1-1", "縁ビル", "髙﨑 花子　様", "お久しぶりです", "お元気ですか。", "L-1"):
        assert words in first
    assert "田中 太郎　様" in second and "花子" not in second
    fonts = {name: font.get_object() for page in reader.pages for name, font in page["/Resources"]["/Font"].items()}
    assert fonts
    for font in fonts.values():
        assert "/FontFile2" in font["/FontDescriptor"]
    page = reader.pages[0]
    millimetre = 72 / 25.4
    assert [round(float(n) / millimetre) for n in page.trimbox] == [3, 3, 213, 300]
    assert [round(float(n) / millimetre) for n in page.mediabox] == [0, 0, 216, 303]


def test_the_same_letters_are_the_same_bytes() -> None:
    assert letter_pdf([letter()]) == letter_pdf([letter()])
    assert letter_pdf([letter()]) != letter_pdf([letter(name="別人")])
    assert letter_csv([letter()]) == letter_csv([letter()])


@pytest.mark.parametrize("url", ["", "https://crm.test/r/abc.def"])
@pytest.mark.parametrize("body", ["あ" * 1200, "\n".join(["あ" * 40] * 22), "短い"])
def test_the_longest_letter_ends_above_the_qr_code_and_loses_nothing(body: str, url: str) -> None:
    heading = "見" * 60
    page = PdfReader(io.BytesIO(letter_pdf([letter(heading=heading, body=body, url=url)]))).pages[0]
    places: list[tuple[float, str]] = []

    def visit(text: str, cm: Any, tm: Any, _font: Any, _size: Any) -> None:
        if text.strip():
            places.append((float(cm[5]) + float(tm[5]), text.replace("\n", "")))

    text = page.extract_text(visitor_text=visit)
    assert text.replace("\n", "").count("あ") == body.count("あ")
    lowest = min(y for y, line in places if "あ" in line or "短" in line)
    floor = (3 + (55 if url else 13)) * 72 / 25.4
    assert lowest >= floor
