"""The template on this machine: the API asks the lake's function, which copies the lake from S3 and answers."""

from __future__ import annotations

from pathlib import Path

from local.api import Api
from local.stack import LocalStack
from tests.fakes.outside import FakeFiles
from tests.lake.base_files import put_lake
from tests.lake.test_feed_stack import issue_key, stop_folding

WOMEN = {"field": "profile.gender", "is": "female"}


def test_the_api_counts_in_the_lake(tmp_path: Path) -> None:
    files = FakeFiles()
    put_lake(files, {"customer": [{"cid": n, "gender": "female" if n % 3 else "male"} for n in range(1, 31)]})
    with LocalStack(tmp_path) as stack:
        stop_folding(stack)
        api = Api(stack.api_url, issue_key(stack))
        for key, content in files.kept.items():
            stack.client("s3").put_object(Bucket=stack.outputs["FilesBucket"], Key=key, Body=content)
        found = api.post("/segments/count", {"condition": WOMEN, "source": "lake"})
        assert (found["count"], len(found["sample"]), found["as_of"]) == (20, 5, "2026-11-22T03:00:00.000Z")
        assert api.post("/segments/count", {"condition": WOMEN})["count"] == 0  # few people: in the tables, where nobody is
        assert api.post("/segments/reach", {"condition": WOMEN})["channels"]["line"] == {"no_address": 20}
