"""A file from the preview to the refused rows, as a console does it."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from chalicelib.entrypoints.workers import do
from chalicelib.kernel.errors import NotFoundError
from tests.builders import Stage
from tests.doors.conftest import Knock

FILE = "コード,お名前,ランク,来店回数\r\nM1,花子,gold,3\r\nM2,太郎,silver,多い\r\n,名無し,,\r\n".encode("cp932")


def begin(stage: Stage, knock: Knock, content: bytes, **body: Any) -> dict[str, Any]:
    made = knock.api("POST", "/imports", {"kind": "customers", **body})
    assert made.status_code == 201
    stage.files.put(f"imports/{made.json_body['import_id']}/file.csv", content, "text/csv")
    job: dict[str, Any] = made.json_body
    return job


def work(stage: Stage) -> None:
    while stage.work.messages:
        for step in do(json.loads(stage.work.messages.pop(0)[0]), stage.world):
            stage.work.put(json.dumps(step), {})


def test_a_file_is_looked_into_tried_and_brought_in(stage: Stage, knock: Knock) -> None:
    import_id = begin(stage, knock, FILE)["import_id"]
    seen = knock.api("POST", "/imports/preview", {"import_id": import_id}).json_body
    assert (seen["encoding"], seen["delimiter"], seen["preset"]) == ("cp932", ",", "")
    assert seen["columns"][1] == {
        "name": "お名前",
        "code": "",
        "samples": ["花子", "太郎", "名無し"],
        "field": "name",
        "type": "text",
    }
    assert seen["missing"] == ["member_no/line_user_id"]
    options = {
        "mapping": {"member_no": "コード", "attribute.rank": "ランク", "attribute.visits": "来店回数"},
        "types": {"attribute.visits": "number"},
    }
    seen = knock.api("POST", "/imports/preview", {"import_id": import_id, **options}).json_body
    assert seen["missing"] == []
    assert [column["field"] for column in seen["columns"]] == ["member_no", "name", "attribute.rank", "attribute.visits"]
    knock.api("POST", f"/imports/{import_id}/start", {**options, "dry_run": True})
    work(stage)
    tried = knock.api("GET", f"/imports/{import_id}").json_body
    assert (tried["state"], tried["dry_run"], tried["rows"], tried["created"], tried["failed"]) == ("done", True, 3, 1, 2)
    assert (tried["percent"], tried["bytes_done"], tried["bytes"]) == (100, len(FILE), len(FILE))
    with pytest.raises(NotFoundError):
        stage.world.customers.by_member_no("M1")
    knock.api("POST", f"/imports/{import_id}/start", {"dry_run": False})
    work(stage)
    done = knock.api("GET", f"/imports/{import_id}").json_body
    assert (done["state"], done["created"], done["failed"]) == ("done", 1, 2)
    rank = {"rank": "gold", "visits": 3}
    assert stage.world.customers.by_member_no("M1").profile.attributes == rank
    assert knock.api("POST", f"/imports/{import_id}/start", {}).status_code == 409
    again = begin(stage, knock, FILE)["import_id"]
    seen = knock.api("POST", "/imports/preview", {"import_id": again}).json_body
    assert seen["mapping"]["attribute.rank"] == "ランク", "files of these columns are read as the last one was"


def test_the_refused_rows_say_why_in_two_languages_and_can_be_brought_in_again(stage: Stage, knock: Knock) -> None:
    job = begin(
        stage, knock, FILE, mapping={"member_no": "コード", "attribute.visits": "来店回数"}, types={"attribute.visits": "number"}
    )
    knock.api("POST", f"/imports/{job['import_id']}/start", {})
    work(stage)
    url = knock.api("GET", f"/imports/{job['import_id']}").json_body["errors_url"]
    content = stage.files.kept[url.removeprefix("https://files.test/get/")]
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert rows == [
        ["行", "列", "理由", "Reason", "コード", "お名前", "ランク", "来店回数"],
        ["3", "来店回数", "「attribute.visits」は数字で書いてください。", "Write a number.", "M2", "太郎", "silver", "多い"],
        ["4", "コード", "会員番号がありません。", "The member number is missing.", "", "名無し", "", ""],
    ]
    corrected = content.replace("多い".encode(), b"9")
    again = begin(stage, knock, corrected, mapping={"member_no": "コード", "attribute.visits": "来店回数"})
    knock.api("POST", f"/imports/{again['import_id']}/start", {})
    work(stage)
    done = knock.api("GET", f"/imports/{again['import_id']}").json_body
    assert (done["created"], done["failed"]) == (1, 1)


def test_what_is_no_option_is_refused(stage: Stage, knock: Knock) -> None:
    for body, status in (
        ({"kind": "people"}, 422),
        ({"kind": "customers", "mapping": {"colour": "色"}}, 422),
        ({"kind": "customers", "dates": "ydm"}, 422),
        ({"kind": "customers", "account": "nowhere"}, 404),
        ({"kind": "events", "defaults": {"data.At": "x"}}, 422),
        ({"kind": "customers", "most_refused_percent": 101}, 422),
    ):
        assert knock.api("POST", "/imports", body).status_code == status, body
    import_id = knock.api("POST", "/imports", {"kind": "tags"}).json_body["import_id"]
    assert knock.api("POST", "/imports/preview", {"import_id": import_id}).json_body["code"] == "import.no_file"
    assert knock.api("POST", f"/imports/{import_id}/cancel").json_body["state"] == "cancelled"
    assert knock.api("POST", "/imports", {"kind": "tags"}, scopes=("imports:read",)).status_code == 403
