"""What people type about themselves, made one form."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.customers.model import (
    PROFILE_FIELDS,
    PROFILE_SK,
    DeliveryChannel,
    Gender,
    Profile,
    clean,
    customer_of,
    has_postal_address,
    is_mobile,
)
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid


@pytest.mark.parametrize(
    ("name", "text", "kept"),
    [
        ("phone", "090-1234-5678", "+819012345678"),
        ("phone", "０９０－１２３４－５６７８", "+819012345678"),
        ("phone", "090 1234 5678", "+819012345678"),
        ("phone", "03(1234)5678", "+81312345678"),
        ("phone", "０３（１２３４）５６７８", "+81312345678"),
        ("phone", "+81 90-1234-5678", "+819012345678"),
        ("phone", "+81(0)90-1234-5678", "+819012345678"),
        ("phone", "090ー1234ー5678", "+819012345678"),
        ("phone", "090ｰ1234ｰ5678", "+819012345678"),
        ("phone", "090\u22121234\u22125678", "+819012345678"),  # the minus that macOS writes
        ("phone", "090\u20131234\u20145678", "+819012345678"),
        ("phone", "+1 415 555 2671", "+14155552671"),
        ("postal_code", "1000001", "100-0001"),
        ("postal_code", "100-0001", "100-0001"),
        ("postal_code", "〒１００－０００１", "100-0001"),
        ("postal_code", "〒 100-0001", "100-0001"),
        ("postal_code", "100 0001", "100-0001"),
        ("postal_code", "100\u22120001", "100-0001"),
        ("birthday", "1990-01-31", date(1990, 1, 31)),
        ("birthday", "1990/1/31", date(1990, 1, 31)),
        ("birthday", "19900131", date(1990, 1, 31)),
        ("birthday", "１９９０年１月３１日", date(1990, 1, 31)),
        ("birthday", "1990.1.2", date(1990, 1, 2)),
        ("birthday", "2000-02-29", date(2000, 2, 29)),
        ("gender", "女性", Gender.FEMALE),
        ("gender", " Male ", Gender.MALE),
        ("email", " Hanako@Example.JP ", "hanako@example.jp"),
        ("email", "ｈａｎａｋｏ＠example.jp", "hanako@example.jp"),
        ("member_no", "Ａ－００１", "A-001"),
        ("name", "髙﨑 花子", "髙﨑 花子"),
        ("name", "　", None),
        ("phone", "", None),
    ],
)
def test_it_keeps_one_form(name: str, text: str, kept: object) -> None:
    assert clean(name, text) == kept


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("phone", "12345"), ("phone", "9012345678"), ("phone", "090-1234-567890"), ("phone", "でんわ"), ("phone", "+81"),
        ("postal_code", "600001"), ("postal_code", "100-00012"), ("postal_code", "〒"),
        ("birthday", "1990-02-30"), ("birthday", "90-01-31"), ("birthday", "31.1.1990"), ("birthday", "昭和63年1月1日"), ("birthday", "45000"),
        # Without separators only eight digits are one day: 199011 is a month or a day, and a guess would be kept for ever.
        ("birthday", "199011"), ("birthday", "1990112"), ("birthday", "1990-112"), ("birthday", "19901-12"),
        ("gender", "x"),
        ("email", "hanako"), ("email", "hanako@example"), ("email", "a@b.jp, c@d.jp"), ("email", "a@@b.jp"), ("email", "a" * 250 + "@b.jp"),
        ("member_no", "-1"), ("member_no", "会員1"), ("member_no", "A" * 65), ("member_no", "a b"),
    ],
)  # fmt: skip
def test_it_refuses_what_it_cannot_understand(name: str, text: str) -> None:
    with pytest.raises(InvalidError) as caught:
        clean(name, text)
    assert caught.value.code == f"customer.{name}_malformed"
    assert caught.value.details["field"] == name


@pytest.mark.parametrize("text", ["a\x00b", "a\rb", "\x1b[31m", "x" * 501])
def test_it_refuses_control_characters_and_endless_text(text: str) -> None:
    with pytest.raises(InvalidError, match="customer.text_malformed"):
        clean("building", text)


@given(st.sampled_from(PROFILE_FIELDS), st.text(max_size=20))
def test_no_text_whatever_does_more_than_be_refused(name: str, text: str) -> None:
    try:
        kept = clean(name, text)
    except InvalidError as error:
        assert error.code.startswith("customer.")
        return
    if isinstance(kept, str) and name in ("phone", "postal_code", "email", "member_no"):
        assert clean(name, kept) == kept  # what is kept is in the kept form


@pytest.mark.parametrize(
    ("phone", "mobile"),
    [("+819012345678", True), ("+818012345678", True), ("+817012345678", True), ("+816012345678", True), ("+815012345678", False),
     ("+81312345678", False), ("+8112012345", False), ("+818001234567", False), ("+81901234567", False), ("+14155552671", True)],
)  # fmt: skip
def test_it_knows_mobiles_from_the_rest(phone: str, mobile: bool) -> None:
    assert is_mobile(phone) is mobile


def test_a_letter_needs_a_name_a_postal_code_and_a_place() -> None:
    whole = {"name": "花子", "postal_code": "100-0001", "prefecture": "東京都", "address": "千代田1-1"}
    assert has_postal_address(Profile(**whole))
    for missing in whole:
        assert not has_postal_address(Profile(**{name: value for name, value in whole.items() if name != missing}))


def test_a_customer_comes_back_from_his_items() -> None:
    item = {
        "member_no": "A1", "birthday": "1990-01-31", "gender": "female", "consent_email": "out 2026-01-01T00:00:00.000Z one-click a b",
        "consent_sms": "in 2026-01-01T00:00:00.000Z ", "aliases": {"12", "7"}, "merged_into": 9, "created_at": "2026",
    }  # fmt: skip
    customer = customer_of(Cid(1), {PROFILE_SK: item})
    assert customer.profile.birthday == date(1990, 1, 31) and customer.profile.gender is Gender.FEMALE
    assert customer.has_opted_out(DeliveryChannel.EMAIL) and not customer.has_opted_out(DeliveryChannel.SMS)
    assert not customer.has_opted_out(DeliveryChannel.LINE)
    assert customer.consents[DeliveryChannel.EMAIL].source == "one-click a b"
    assert set(customer.aliases) == {12, 7} and customer.merged_into == 9
    assert customer_of(Cid(1), {}).profile == Profile()
