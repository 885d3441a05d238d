"""The lake's function as others see it: what it answers, what it refuses, and when it breaks down."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from chalicelib.adapters import analyst
from chalicelib.adapters.analyst import LambdaAnalyst
from chalicelib.kernel.errors import NotFoundError, TemporaryError


class FakeLambda:
    def __init__(self, answer: dict[str, Any], error: str = "") -> None:
        self.answer, self.error, self.asked = answer, error, []

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        self.asked.append((FunctionName, json.loads(Payload)))
        answer: dict[str, Any] = {"Payload": io.BytesIO(json.dumps(self.answer).encode())}
        return answer | ({"FunctionError": self.error} if self.error else {})


def ask(monkeypatch: pytest.MonkeyPatch, fake: FakeLambda) -> dict[str, Any]:
    monkeypatch.setattr(analyst, "client", lambda _service: fake)
    return LambdaAnalyst("enishi-test-lake-query").ask({"op": "members", "audience_id": "cmp_1", "after": 0, "most": 1})


def test_an_answer_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeLambda({"cids": [1], "as_of": None, "generation": None})
    assert ask(monkeypatch, fake)["cids"] == [1]
    assert fake.asked == [("enishi-test-lake-query", {"op": "members", "audience_id": "cmp_1", "after": 0, "most": 1})]


def test_an_audience_that_nobody_made_is_refused_here_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match=r"audience\.unknown") as caught:
        ask(monkeypatch, FakeLambda({"unknown_audience": "cmp_1"}))
    assert caught.value.details == {"audience_id": "cmp_1"}


def test_a_function_that_broke_down_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TemporaryError):
        ask(monkeypatch, FakeLambda({"errorType": "OutOfMemoryException"}, "Unhandled"))
