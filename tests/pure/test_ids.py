"""Ids: they sort, they come back, they refuse what is none."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.clock import from_millis
from chalicelib.kernel.ids import Cid, customer_id, derived_uuid, is_line_user_id, new_id, parse_customer_id

CIDS = st.integers(0, 2**50 - 1).map(Cid)
MILLIS = st.integers(0, 2**47)


@given(CIDS)
def test_a_customer_id_comes_back(cid: Cid) -> None:
    text = customer_id(cid)
    assert len(text) == 14
    assert parse_customer_id(text) == cid


@given(CIDS, CIDS)
def test_customer_ids_sort_as_their_numbers_do(one: Cid, other: Cid) -> None:
    assert (customer_id(one) < customer_id(other)) == (one < other)


@given(st.text())
def test_it_takes_no_other_text_for_a_customer_id(text: str) -> None:
    cid = parse_customer_id(text)
    assert cid is None or customer_id(cid) == text


@pytest.mark.parametrize(
    "text", ["", "cus_", "0000000001", "cus_000000000", "cus_00000000001", "cus_000000000I", "cus_00000000a1", "CUS_0000000001"]
)
def test_it_refuses_a_malformed_customer_id(text: str) -> None:
    assert parse_customer_id(text) is None


@given(MILLIS, MILLIS)
def test_a_ulid_sorts_by_time(one: int, other: int) -> None:
    if one != other:
        first, second = sorted((one, other))
        assert new_id("x", from_millis(first)) < new_id("x", from_millis(second))


def test_a_ulid_begins_with_the_time_as_the_specification_writes_it() -> None:
    assert new_id("x", from_millis(1_469_922_850_259)).startswith("x_01ARZ3NDEK")


def test_a_ulid_tells_its_kind_and_is_never_the_same() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    ids = {new_id("frd", now) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(one.startswith("frd_") and len(one) == 30 for one in ids)
    assert len({one[:14] for one in ids}) == 1  # ten characters of time


@pytest.mark.parametrize(
    "text", ["U" + "a" * 31, "U" + "a" * 33, "u" + "a" * 32, "U" + "A" * 32, "U" + "g" * 32, "U" + "a" * 32 + "\n", None, 7, ["U"]]
)
def test_it_knows_what_is_no_line_user_id(text: object) -> None:
    assert not is_line_user_id(text)
    assert is_line_user_id("U8e742f61d673b39c7fff3cecb7536ef0")


@given(st.lists(st.text(alphabet="ab|#-", max_size=5), max_size=4), st.lists(st.text(alphabet="ab|#-", max_size=5), max_size=4))
def test_a_derived_uuid_belongs_to_its_parts_alone(one: list[str], other: list[str]) -> None:
    assert derived_uuid(*one) == derived_uuid(*one)
    assert (derived_uuid("k", *one) == derived_uuid("k", *other)) == (one == other)
    assert str(uuid.UUID(derived_uuid(*one))) == derived_uuid(*one)
