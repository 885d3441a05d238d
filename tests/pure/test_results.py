"""The one text that a batch keeps for a call says of each member what became of him."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.delivery.model import Call
from chalicelib.delivery.results import accepted, reason_class, refusals
from chalicelib.kernel.ids import Cid

MANY = Call(tuple(Cid(n) for n in range(100, 600)), {}, "k")


@given(st.dictionaries(st.integers(0, 499), st.text(max_size=40), max_size=9), st.uuids())
def test_who_was_refused_is_read_back_with_his_reason(refused: dict[int, str], request_id: object) -> None:
    assert refusals(MANY, accepted(str(request_id), refused)) == {Cid(100 + place): why for place, why in refused.items()}


def test_of_a_refused_call_everybody_is_refused() -> None:
    call = Call((Cid(1), Cid(2)), {}, "k")
    assert refusals(call, "failed 400: no such message but [[0, 1]]") == dict.fromkeys(
        call.members, "400: no such message but [[0, 1]]"
    )
    assert refusals(call, "failed: refused or gone meanwhile") == dict.fromkeys(call.members, "refused or gone meanwhile")


@pytest.mark.parametrize("result", ["", "accepted r", "accepted ", "unknown reply", "unknown push but nobody knows"])
def test_nobody_is_refused_by_any_other_result(result: str) -> None:
    assert refusals(MANY, result) == {}


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("refused or gone meanwhile", "gone"),
        ("refused or gone after the claim", "gone"),
        ("LINE /v2/bot/message/push 400: … messages[0].text: May not be empty", "message"),
        ("LINE /v2/bot/message/push 400: Failed to send messages", "recipient"),
        ("SES: MessageRejected", "provider"),
    ],
)
def test_a_reason_has_a_kind_to_be_counted_by(reason: str, kind: str) -> None:
    assert reason_class(reason) == kind
