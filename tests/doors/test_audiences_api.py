"""Counts, reach, overlaps and sizes over the admin API: from the lake where there is one, from the tables else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.kernel.ids import customer_id
from chalicelib.kernel.windows import local_date
from tests.builders import Stage
from tests.doors.conftest import Knock
from tests.lake.base_files import put_lake

WOMEN = {"field": "profile.gender", "is": "female"}
PEOPLE = [{"cid": n, "gender": "female" if n % 3 else "male", "known": True, "linked": False} for n in range(1, 31)]


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json_body["code"]


def test_a_count_says_whether_it_is_exact_or_how_old_the_lake_is(stage: Stage, knock: Knock) -> None:
    found = knock.api("POST", "/segments/count", {"condition": WOMEN}).json_body
    assert found == {"count": 0, "sample": [], "as_of": None}
    put_lake(stage.files, {"customer": PEOPLE})
    assert knock.api("POST", "/segments/count", {"condition": WOMEN}).json_body["as_of"] is None  # a few people are walked through
    found = knock.api("POST", "/segments/count", {"condition": WOMEN, "source": "lake"}).json_body
    assert (found["count"], found["as_of"]) == (20, "2026-11-22T03:00:00.000Z")
    assert len(found["sample"]) == 5 and set(found["sample"]) <= {customer_id(n) for n in range(1, 31) if n % 3}


def test_who_asks_what_people_did_asks_the_lake_earlier(stage: Stage, knock: Knock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.segments.asking.FEW_PASTS", 1)
    for n in range(3):
        stage.customer(f"M{n}", gender="female")
    put_lake(stage.files, {"customer": PEOPLE})
    never = {"all": [WOMEN, {"not": {"purchase": {"product": "ピアスA"}}}]}
    assert knock.api("POST", "/segments/count", {"condition": never}).json_body["count"] == 20
    assert knock.api("POST", "/segments/count", {"condition": WOMEN}).json_body["count"] == 3


def test_a_large_company_is_counted_in_the_lake_unless_it_wants_to_know_exactly(
    stage: Stage, knock: Knock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.segments.asking.FEW", 1)
    for n in range(3):
        stage.customer(f"M{n}", gender="female")
    assert knock.api("POST", "/segments/count", {"condition": WOMEN}).json_body["count"] == 3  # there is no lake yet
    put_lake(stage.files, {"customer": PEOPLE})
    assert knock.api("POST", "/segments/count", {"condition": WOMEN}).json_body["count"] == 20
    assert knock.api("POST", "/segments/count", {"condition": WOMEN, "source": "tables"}).json_body["count"] == 3


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/segments/count", {"condition": WOMEN, "source": "lake"}, (422, "lake.none")),
        ("/segments/count", {"condition": {"field": "x", "is": 1}, "source": "lake"}, (422, "condition.field_unknown")),
        ("/segments/count", {"condition": WOMEN, "source": "sea"}, (422, "api.body_malformed")),
        ("/segments/reach", {"condition": WOMEN}, (422, "lake.none")),
        ("/segments/overlaps", {"segments": ["seg_none"]}, (404, "segment.unknown")),
        ("/segments/overlaps", {"segments": [f"seg_{n}" for n in range(13)]}, (422, "segment.too_many")),
    ],
)
def test_what_cannot_be_asked_is_refused(knock: Knock, path: str, body: dict[str, Any], expected: tuple[int, str]) -> None:
    assert refusal(knock.api("POST", path, body)) == expected


def test_reach_is_told_by_channel(stage: Stage, knock: Knock) -> None:
    put_lake(
        stage.files,
        {
            "customer": [
                {"cid": 1, "gender": "female", "email_reachable": True},
                {"cid": 2, "gender": "female", "email_reachable": False},
            ],
            "identity": [{"cid": 1, "email": "a@example.jp"}, {"cid": 2, "email": "b@example.jp"}],
        },
    )
    found = knock.api("POST", "/segments/reach", {"condition": WOMEN}).json_body
    assert found["count"] == 2
    assert found["channels"]["email"] == {"reachable": 1, "refused": 1}
    assert found["channels"]["line"] == {"no_address": 2}


def test_segments_are_laid_over_each_other_and_measured_every_day(stage: Stage, knock: Knock) -> None:
    knock.api("PUT", "/segments/seg_women", {"name": "女性", "condition": WOMEN})
    knock.api("PUT", "/segments/seg_known", {"name": "会員", "condition": {"field": "customer.known", "is": True}})
    assert stage.world.asking.measure(stage.clock.now()) == 0
    put_lake(stage.files, {"customer": PEOPLE})
    found = knock.api("POST", "/segments/overlaps", {"segments": ["seg_women", "seg_known"]}).json_body
    assert found["counts"] == {"seg_women": 20, "seg_known": 30}
    assert found["both"] == [{"one": "seg_women", "other": "seg_known", "count": 20}]
    today = stage.clock.now()
    for days in (40, 1, 0):
        assert stage.world.asking.measure(today - timedelta(days=days)) == 2
    sizes = knock.api("GET", "/segments/seg_women/sizes").json_body["sizes"]
    assert list(sizes.values()) == [20, 20, 20] and list(sizes) == sorted(sizes)
    some_day = list(sizes)[1]
    assert knock.api("GET", f"/segments/seg_women/sizes?from={some_day}").json_body["sizes"] == {day: 20 for day in list(sizes)[1:]}
    assert refusal(knock.api("GET", "/segments/seg_women/sizes?from=yesterday")) == (422, "api.parameter_malformed")
    assert refusal(knock.api("GET", "/segments/seg_men/sizes")) == (404, "segment.unknown")


def test_of_a_day_after_another_it_is_told_who_came_and_who_went(stage: Stage, knock: Knock) -> None:
    knock.api("PUT", "/segments/seg_women", {"name": "女性", "condition": WOMEN})
    today = stage.clock.now()
    put_lake(stage.files, {"customer": [{"cid": n, "gender": "female"} for n in range(1, 11)]})
    stage.world.asking.measure(today - timedelta(days=3))
    stage.world.asking.measure(today - timedelta(days=1))
    # One went and three came; one was erased, of whom nothing is told.
    put_lake(stage.files, {"customer": [{"cid": n, "gender": "female"} for n in range(2, 14)]}, erased=[10])
    for _ in range(2):
        stage.world.asking.measure(today)
    found = knock.api("GET", "/segments/seg_women/sizes").json_body
    assert list(found["sizes"].values()) == [10, 10, 11]
    assert found["entered"] == {list(found["sizes"])[-1]: 3} and found["left"] == {list(found["sizes"])[-1]: 1}


def test_many_segments_are_measured_by_several_questions(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question has less than a minute, however many segments there are."""
    names = [f"seg_{number:03}" for number in range(45)]
    for name in names:
        stage.world.segments.save(name, name, WOMEN)
    put_lake(stage.files, {"customer": PEOPLE})
    asked: list[int] = []
    ask = stage.world.analyst.ask
    monkeypatch.setattr(stage.world.analyst, "ask", lambda question: asked.append(len(question["queries"])) or ask(question))
    assert stage.world.asking.measure(stage.clock.now()) == 45
    assert max(asked) <= 20 and sum(asked) == 45
    today = local_date(stage.clock.now())
    assert all(stage.world.asking.sizes(name, today, today)[today].count == 20 for name in names)


def test_sizes_that_were_kept_alone_stay(stage: Stage, knock: Knock) -> None:
    knock.api("PUT", "/segments/seg_women", {"name": "女性", "condition": WOMEN})
    day = local_date(stage.clock.now())
    stage.files.put(f"lake/size/{day:%Y-%m}.json", json.dumps({day.isoformat(): {"seg_women": 7}}).encode(), "application/json")
    found = knock.api("GET", "/segments/seg_women/sizes").json_body
    assert found == {"sizes": {day.isoformat(): 7}, "entered": {}, "left": {}}


def test_a_customers_page_shows_the_segments_that_he_is_in(stage: Stage, knock: Knock) -> None:
    hanako = stage.customer("M1", gender="female")
    tag = stage.world.tags.create("vip", tag_id="tag_vip").tag_id
    stage.world.tags.add(hanako, tag, "test")
    segments = {"seg_women": WOMEN, "seg_men": {"not": WOMEN}, "seg_buyers": {"purchase": {}}, "seg_vip": {"tag": tag}}
    for segment_id, condition in segments.items():
        knock.api("PUT", f"/segments/{segment_id}", {"name": segment_id, "condition": condition})
    knock.api(
        "PUT", "/segments/seg_both", {"name": "両方", "condition": {"all": [{"segment": "seg_women"}, {"segment": "seg_vip"}]}}
    )
    path = f"/customers/{customer_id(hanako)}/segments"
    assert [one["segment_id"] for one in knock.api("GET", path).json_body["items"]] == ["seg_both", "seg_vip", "seg_women"]
    knock.api("DELETE", "/segments/seg_women")  # what names it is no condition any more
    assert [one["segment_id"] for one in knock.api("GET", path).json_body["items"]] == ["seg_vip"]
    assert refusal(knock.api("GET", "/customers/cus_0000000099/segments")) == (404, "customer.unknown")
