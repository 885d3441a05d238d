"""Proofs hold, and nothing else passes for one."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.pages import decode_cursor, encode_cursor
from chalicelib.kernel.signing import fingerprint, is_signed_by, line_signature, read_token, sign_token

# LINE's own vector (line-platform.md 1.1, confirmed with both official SDKs).
SECRET = "8c570fa6dd201bb328f1c1eac23a96d8"
BODY = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'
SIGNATURE = "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="
KEY = b"k" * 32
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"]))
PAYLOADS = st.lists(SCALARS, max_size=5)


def test_it_signs_as_line_does() -> None:
    assert line_signature(SECRET, BODY) == SIGNATURE
    assert is_signed_by([SECRET], BODY, SIGNATURE)


@pytest.mark.parametrize(
    "signature", ["", SIGNATURE[:-1], SIGNATURE + "=", SIGNATURE.lower(), " " + SIGNATURE, "署名", "\ud800", "A" * 10_000]
)
def test_it_refuses_any_other_signature(signature: str) -> None:
    assert not is_signed_by([SECRET], BODY, signature)


def test_it_takes_the_previous_secret_too_but_never_an_empty_one() -> None:
    assert is_signed_by(["new", SECRET], BODY, SIGNATURE)
    assert not is_signed_by(["new"], BODY, SIGNATURE)
    assert not is_signed_by([], BODY, SIGNATURE)
    assert not is_signed_by([""], BODY, line_signature("", BODY))


@given(st.binary(max_size=200), st.integers(0, 199), st.integers(1, 255))
def test_one_changed_byte_breaks_a_signature(body: bytes, place: int, change: int) -> None:
    signature = line_signature(SECRET, body)
    assert is_signed_by([SECRET], body, signature)
    if place < len(body):
        broken = bytearray(body)
        broken[place] ^= change
        assert not is_signed_by([SECRET], bytes(broken), signature)


@given(PAYLOADS)
def test_a_token_brings_back_what_it_carries(payload: list[object]) -> None:
    token = sign_token(KEY, "r", payload)
    assert read_token(KEY, "r", token) == payload
    assert all(char.isascii() and (char.isalnum() or char in "-_.") for char in token)


@given(PAYLOADS, st.integers(0, 400), st.characters())
@example([1], 99, "!")
@example([1], 10, "=")
@example([1], 99, "\n")
def test_a_token_refuses_any_inserted_or_replaced_character(payload: list[object], place: int, char: str) -> None:
    token = sign_token(KEY, "r", payload)
    place = min(place, len(token))
    for tampered in (token[:place] + char + token[place:], token[:place] + char + token[place + 1 :]):
        if tampered != token:
            with pytest.raises(InvalidError, match="token.invalid"):
                read_token(KEY, "r", tampered)


@given(PAYLOADS, st.data())
def test_a_token_refuses_to_be_cut_short(payload: list[object], data: st.DataObject) -> None:
    token = sign_token(KEY, "r", payload)
    with pytest.raises(InvalidError, match="token.invalid"):
        read_token(KEY, "r", token[: data.draw(st.integers(0, len(token) - 1))])


def test_a_token_serves_one_purpose_and_one_key() -> None:
    token = sign_token(KEY, "r", [1])
    for key, purpose in ((KEY, "u"), (b"x" * 32, "r"), (KEY, ""), (KEY, "r|")):
        with pytest.raises(InvalidError, match="token.invalid"):
            read_token(key, purpose, token)


@given(st.text())
def test_no_text_whatever_is_a_token(text: str) -> None:
    with pytest.raises(InvalidError, match="token.invalid"):
        read_token(KEY, "r", text)


@given(PAYLOADS)
def test_a_cursor_brings_back_its_position(position: list[object]) -> None:
    assert decode_cursor(encode_cursor(position)) == position
    assert decode_cursor(None) is decode_cursor("") is None


@given(st.text(min_size=1))
@example("W1tb" * 3000)  # brackets without end
@example("あ")
def test_a_malformed_cursor_is_refused_with_a_code(text: str) -> None:
    try:
        decode_cursor(text)
    except InvalidError as error:
        assert error.code == "cursor.malformed"


def test_a_fingerprint_is_the_same_however_an_address_is_spelled() -> None:
    assert fingerprint(" Hanako@Example.jp ") == fingerprint("hanako@example.jp") != fingerprint("taro@example.jp")
