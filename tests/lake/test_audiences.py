"""Questions to the lake, and audiences that stay what they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.lake.audiences import Audiences
from chalicelib.lake.cubes import Cubes
from chalicelib.lake.questions import Questions
from chalicelib.lake.reader import Reader
from chalicelib.ports.analyst import to_wire
from tests.fakes.outside import FakeFiles
from tests.lake.base_files import put_lake

EVERYBODY = to_wire('SELECT "cid" FROM "customer"', [])
WOMEN = to_wire('SELECT "cid" FROM "customer" WHERE "gender" = ?', ["female"])
ABOUT = {"for": "cmp_1", "at": "2026-11-22T03:00:00.000Z", "condition": {"all": []}}


def people(number: int) -> list[dict[str, Any]]:
    return [{"cid": n, "gender": "female" if n % 3 else "male", "line_reachable": n % 2 == 0} for n in range(1, number + 1)]


@pytest.fixture
def files() -> FakeFiles:
    return FakeFiles()


@pytest.fixture
def questions(files: FakeFiles, tmp_path: Path) -> Questions:
    reader = Reader(files, tmp_path / "lake")
    ticks = iter(range(0, 10_000, 10))
    reader._monotonic = lambda: next(ticks)
    return Questions(reader, Audiences(files), Cubes(files))


def test_without_a_lake_every_answer_says_so(questions: Questions) -> None:
    assert questions.ask({"op": "count", "query": EVERYBODY}) == {"as_of": None, "generation": None}


def test_a_count_comes_with_a_sample_that_stays_the_same_and_says_how_old_it_is(files: FakeFiles, questions: Questions) -> None:
    put_lake(files, {"customer": people(90)})
    answer = questions.ask({"op": "count", "query": WOMEN, "sample": 5})
    assert (answer["count"], answer["as_of"], answer["generation"]) == (60, "2026-11-22T03:00:00.000Z", 1)
    assert len(set(answer["sample"])) == 5 and all(cid % 3 for cid in answer["sample"])
    assert questions.ask({"op": "count", "query": WOMEN, "sample": 5}) == answer
    assert (
        questions.ask({"op": "count", "query": to_wire('SELECT "cid" FROM "customer" WHERE FALSE', []), "sample": 5})["sample"]
        == []
    )
    assert json.loads(json.dumps(answer)) == answer


def test_sizes_and_overlaps_of_many_conditions_at_once(files: FakeFiles, questions: Questions) -> None:
    put_lake(files, {"customer": people(90)})
    queries = {"seg_all": EVERYBODY, "seg_women": WOMEN, "seg_few": to_wire('SELECT "cid" FROM "customer" WHERE "cid" <= ?', [10])}
    assert questions.ask({"op": "counts", "queries": queries})["counts"] == {"seg_all": 90, "seg_women": 60, "seg_few": 10}
    answer = questions.ask({"op": "overlaps", "queries": queries})
    assert answer["counts"] == {"seg_all": 90, "seg_women": 60, "seg_few": 10}
    assert answer["both"] == [["seg_all", "seg_women", 60], ["seg_all", "seg_few", 10], ["seg_women", "seg_few", 7]]


def test_who_cannot_be_reached_is_told_by_channel_and_reason(files: FakeFiles, questions: Questions) -> None:
    put_lake(
        files,
        {
            "customer": [
                {"cid": 1, "line_reachable": True, "email_reachable": True},
                {"cid": 2, "line_reachable": False, "email_reachable": False},
                {"cid": 3, "line_reachable": False, "email_reachable": False},
                {"cid": 4, "line_reachable": False, "email_reachable": False},
            ],
            "friend": [
                {"account": "main", "cid": 1, "state": "following", "reachable": True},
                {"account": "main", "cid": 3, "state": "blocked", "reachable": False},
                {"account": "main", "cid": 4, "state": "following", "reachable": False},
            ],
            "identity": [{"cid": 1, "email": "a@example.jp"}, {"cid": 4, "email": "d@example.jp"}],
        },
    )
    answer = questions.ask({"op": "channels", "query": EVERYBODY})
    assert answer["count"] == 4
    assert answer["channels"]["line"] == {"reachable": 1, "no_address": 1, "blocked": 1, "refused": 1}
    assert answer["channels"]["email"] == {"reachable": 1, "no_address": 2, "refused": 1}
    assert answer["channels"]["sms"] == answer["channels"]["postal"] == {"no_address": 4}


def test_an_audience_is_made_once_and_stays_what_it_was(files: FakeFiles, questions: Questions) -> None:
    put_lake(files, {"customer": people(900)})
    made = questions.ask({"op": "audience", "audience_id": "cmp_1", "query": WOMEN, "about": ABOUT})
    assert made["count"] == 600
    put_lake(files, {"customer": people(90)})
    again = questions.ask({"op": "audience", "audience_id": "cmp_1", "query": EVERYBODY, "about": {}})
    assert (again["count"], again["generation"]) == (600, 2)
    found: list[int] = []
    while cids := questions.ask({"op": "members", "audience_id": "cmp_1", "after": found[-1] if found else 0, "most": 250})["cids"]:
        found += cids
    assert found == [n for n in range(1, 901) if n % 3]
    note = json.loads(files.kept["lake/audience/cmp_1.json"])
    assert note == {
        "about": ABOUT, "as_of": "2026-11-22T03:00:00.000Z", "bitmap": "lake/audience/cmp_1-1.roar", "count": 600, "generation": 1,
    }  # fmt: skip


def test_of_two_who_make_an_audience_at_once_the_first_stands(files: FakeFiles, questions: Questions) -> None:
    put_lake(files, {"customer": people(9)})
    real_put = files.put

    def put(key: str, content: bytes, content_type: str) -> None:
        real_put(key, content, content_type)
        if key == "lake/audience/cmp_1-1.roar":
            files.put = real_put  # type: ignore[method-assign]
            put_lake(files, {"customer": people(90)})
            assert questions.ask({"op": "audience", "audience_id": "cmp_1", "query": EVERYBODY, "about": ABOUT})["count"] == 90

    files.put = put  # type: ignore[method-assign]
    assert questions.ask({"op": "audience", "audience_id": "cmp_1", "query": EVERYBODY, "about": ABOUT})["count"] == 90
    assert len(questions.ask({"op": "members", "audience_id": "cmp_1", "after": 0, "most": 500})["cids"]) == 90


def test_who_was_erased_since_is_in_no_audience(files: FakeFiles, questions: Questions) -> None:
    put_lake(files, {"customer": people(3)})
    questions.ask({"op": "audience", "audience_id": "cmp_1", "query": EVERYBODY, "about": ABOUT})
    put_lake(files, {}, erased=[2])
    assert questions.ask({"op": "members", "audience_id": "cmp_1", "after": 0, "most": 5})["cids"] == [1, 3]


def test_an_audience_that_nobody_made_is_unknown(files: FakeFiles, questions: Questions) -> None:
    put_lake(files, {"customer": people(3)})
    with pytest.raises(NotFoundError, match=r"audience\.unknown"):
        questions.ask({"op": "members", "audience_id": "cmp_9", "after": 0, "most": 5})


def test_a_copy_that_is_damaged_inside_is_fetched_again(files: FakeFiles, questions: Questions, tmp_path: Path) -> None:
    put_lake(files, {"customer": people(900)})
    assert questions.ask({"op": "count", "query": WOMEN})["count"] == 600
    (copy,) = (tmp_path / "lake").glob("*.parquet")
    whole = copy.read_bytes()
    copy.write_bytes(whole[:4] + b"\0" * (len(whole) - 8) + whole[-4:])
    assert questions.ask({"op": "count", "query": WOMEN})["count"] == 600
    assert copy.read_bytes() == whole


def test_a_question_that_takes_too_long_is_ended_and_the_next_one_answered(files: FakeFiles, tmp_path: Path) -> None:
    put_lake(files, {"customer": people(2_000)})
    questions = Questions(Reader(files, tmp_path / "lake"), Audiences(files), Cubes(files), patience_seconds=0.3)
    far = "hash(a.cid, b.cid, c.cid, d.cid) = 1"
    text = f'SELECT a."cid" FROM "customer" a, "customer" b, "customer" c, "customer" d WHERE {far}'
    endless = to_wire(text, ())
    with pytest.raises(InvalidError, match="too_slow"):
        questions.ask({"op": "count", "query": endless})
    assert questions.ask({"op": "count", "query": EVERYBODY})["count"] == 2_000
