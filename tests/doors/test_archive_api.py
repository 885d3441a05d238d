"""Archives by the API: ordered, worked off, given out to who may have them."""

from __future__ import annotations

import json
from typing import Any

from chalicelib.entrypoints import workers
from tests.builders import Stage
from tests.doors.conftest import Knock
from tests.doors.test_admin_api import is_problem


def work(stage: Stage) -> None:
    while stage.work.messages:
        body, _ = stage.work.messages.pop(0)
        steps: list[Any] = workers.do(json.loads(body), stage.world)
        stage.work.messages += [(json.dumps(step), {}) for step in steps]


def test_an_archive_is_ordered_and_fetched(stage: Stage, knock: Knock) -> None:
    stage.customer("M1")
    ordered = knock.api("POST", "/archives")
    assert (ordered.status_code, ordered.json_body["state"], ordered.json_body["download_url"]) == (202, "running", "")
    archive_id = ordered.json_body["archive_id"]
    work(stage)
    done = knock.api("GET", f"/archives/{archive_id}").json_body
    assert (done["kind"], done["state"], done["share_done"], done["problem"]) == ("archive", "done", 1.0, None)
    assert done["counts"]["core"] == 3, "a profile, a pointer and the counter"
    assert done["download_url"].endswith(f"archives/{archive_id}.zip")
    (listed,) = knock.api("GET", "/archives").json_body["items"]
    assert listed["ordered_by"].startswith("enk_")


def test_an_import_into_a_house_that_is_lived_in_is_refused_in_one_sentence(stage: Stage, knock: Knock) -> None:
    stage.customer("M1")
    archive_id = knock.api("POST", "/archives").json_body["archive_id"]
    work(stage)
    made = knock.api("POST", "/archive-imports")
    assert (made.status_code, made.json_body["kind"], made.json_body["state"]) == (201, "import", "created")
    import_id = made.json_body["archive_id"]
    assert made.json_body["upload_url"].endswith(f"archives/{import_id}/upload.zip")
    is_problem(knock.api("POST", f"/archive-imports/{import_id}/start"), 422, "archive.no_file")
    stage.files.kept[f"archives/{import_id}/upload.zip"] = stage.files.kept[f"archives/{archive_id}.zip"]
    assert knock.api("POST", f"/archive-imports/{import_id}/start").status_code == 202
    work(stage)
    ended = knock.api("GET", f"/archives/{import_id}").json_body
    assert (ended["state"], ended["problem"]["code"], ended["problem"]["status"]) == ("failed", "archive.not_fresh", 400)


def test_it_needs_a_scope_of_its_own(knock: Knock) -> None:
    for scopes in (("operations:write",), ("archives:read",)):
        is_problem(knock.api("POST", "/archives", scopes=scopes), 403, "auth.scope_missing")
    is_problem(knock.api("GET", "/archives", scopes=("archives:write",)), 403, "auth.scope_missing")
    is_problem(knock.api("GET", "/archives/arc_x"), 404, "archive.unknown")
