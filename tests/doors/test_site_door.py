"""The site script: what it is told, by whom, and what the worker makes of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.kernel.ids import Cid
from tests.builders import Stage
from tests.doors.conftest import Knock, records
from tests.doors.test_admin_api import is_problem
from tests.doors.test_public_doors import CHROME, path_of

SHOP = "https://shop.test"
SCRIPT = Path(__file__).resolve().parents[2] / "chalicelib" / "entrypoints" / "site.js"


@pytest.fixture
def hanako(stage: Stage, knock: Knock) -> Cid:
    assert knock.api("PUT", "/site", {"origins": [SHOP]}).json_body["script_url"] == "https://crm.test/site.js"
    knock.api("POST", "/links", {"link_id": "spring", "name": "春", "url": f"{SHOP}/new?a=1#top", "identifies": True})
    return stage.customer("M1")


def token_of(stage: Stage, knock: Knock, cid: Cid) -> str:
    """Let somebody follow the link; return what his browser brings to the shop."""
    answer = knock("GET", path_of(stage.world.tracking.click_url("spring", cid, "cmp|1", stage.clock.now())))
    parts = urlsplit(answer.headers["Location"])
    assert (parts.path, parts.fragment, parse_qs(parts.query)["a"]) == ("/new", "top", ["1"])
    stage.events.messages = []
    stage.clock.advance(minutes=1)
    return parse_qs(parts.query)["en"][0]


def tell(knock: Knock, body: Any, origin: str = SHOP, agent: str = CHROME) -> Any:
    headers = {"Content-Type": "text/plain;charset=UTF-8", "Origin": origin, "User-Agent": agent}
    return knock("POST", "/site/events", body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


def visits(stage: Stage, client: Any, cid: Cid) -> list[tuple[str, dict[str, str]]]:
    for _ in range(2):  # told twice, noted once
        client.lambda_.invoke("webhook_worker", records(*stage.events.messages))
    stage.events.messages = []
    return [(item["name"], item["data"]) for item in stage.world.tracking.timeline(cid) if item["kind"] == "visited"]


def test_a_visit_is_noted_and_is_an_act_of_his(stage: Stage, knock: Knock, client: Any, hanako: Cid) -> None:
    token = token_of(stage, knock, hanako)
    answer = tell(knock, {"token": token, "name": "/ring/1"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, SHOP)
    assert visits(stage, client, hanako) == [("/ring/1", {"link": "spring", "source": "cmp|1"})]
    assert stage.world.segments.load([hanako], [])[hanako].activity.last_at == stage.clock.now()


@pytest.mark.parametrize(
    ("url", "learns"),
    [(f"{SHOP}/new", True), (SHOP, True), (f"{SHOP}?a=1", True), (f"{SHOP}#top", True), ("HTTPS://Shop.test/new", True),
     ("https://other.test/new", False), ("http://shop.test/new", False), ("https://shop.test:444/", False),
     ("https://shop.test.other.test/", False), ("https://shop.test@other.test/", False), ("https://other.test\\@shop.test/", False),
     ("https://other.test/?https://shop.test/", False), ("https://www.shop.test/", False)],
)  # fmt: skip
def test_only_pages_of_the_companys_own_sites_learn_who_comes(
    stage: Stage, knock: Knock, hanako: Cid, url: str, learns: bool
) -> None:
    knock.api("POST", "/links", {"link_id": "x", "name": "x", "url": url, "identifies": True})
    answer = knock("GET", path_of(stage.world.tracking.click_url("x", hanako, "cmp|1", stage.clock.now())))
    assert answer.status_code == 302
    assert ("en=" in answer.headers["Location"]) == learns


def test_a_scenario_starts_with_a_visit_of_one_page(stage: Stage, knock: Knock, client: Any, hanako: Cid) -> None:
    nodes = {"w": {"type": "wait", "duration": "P3D", "next": "e"}, "e": {"type": "end"}}
    stage.scenario("looked", nodes, trigger={"type": "event", "event": "visited", "name": "/ring/1"})
    token = token_of(stage, knock, hanako)
    tell(knock, {"token": token, "name": "/other"})
    visits(stage, client, hanako)
    assert stage.world.scenario_people.of(hanako) == []
    stage.clock.advance(seconds=10)
    tell(knock, {"token": token, "name": "/ring/1"})
    visits(stage, client, hanako)
    assert len(stage.world.scenario_people.of(hanako)) == 1


def test_a_flood_is_one_visit_in_five_seconds(stage: Stage, knock: Knock, client: Any, hanako: Cid) -> None:
    token = token_of(stage, knock, hanako)
    for n in range(20):
        tell(knock, {"token": token, "name": f"/{n}"})
        stage.clock.advance(milliseconds=500)
    assert len(visits(stage, client, hanako)) in (2, 3)


@pytest.mark.parametrize("agent", ["", "Googlebot/2.1", "curl/8.1"])
def test_machines_do_not_count(stage: Stage, knock: Knock, client: Any, hanako: Cid, agent: str) -> None:
    tell(knock, {"token": token_of(stage, knock, hanako), "name": "/"}, agent=agent)
    assert visits(stage, client, hanako) == []


def test_an_old_token_says_nothing_any_more(stage: Stage, knock: Knock, client: Any, hanako: Cid) -> None:
    token = token_of(stage, knock, hanako)
    stage.clock.advance(days=401)
    tell(knock, {"token": token, "name": "/"})
    assert visits(stage, client, hanako) == []


def test_without_a_token_of_ours_nothing_is_kept(stage: Stage, knock: Knock, hanako: Cid) -> None:
    clicked = path_of(stage.world.tracking.click_url("spring", hanako, "cmp|1", stage.clock.now())).removeprefix("/r/")
    for token in ("x", clicked, token_of(stage, knock, hanako)[:-1]):
        assert tell(knock, {"token": token, "name": "/"}).status_code == 204
    assert stage.events.messages == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"\xff", {"token": "x"}, {"token": "x", "name": ""}, {"token": "x", "name": "y" * 201},
     {"token": "x" * 501, "name": "/"}, {"token": "x", "name": "a\nb"}, {"token": "x", "name": "/", "more": 1}, b" " * 5000 + b"{}"],
)  # fmt: skip
def test_what_is_no_visit_is_refused(stage: Stage, knock: Knock, hanako: Cid, body: Any) -> None:
    assert tell(knock, body).status_code == 400
    assert stage.events.messages == []


@pytest.mark.parametrize("origin", ["", "null", "https://evil.test", "https://shop.test.evil.test", "http://shop.test"])
def test_other_sites_are_refused(stage: Stage, knock: Knock, hanako: Cid, origin: str) -> None:
    answer = tell(knock, {"token": token_of(stage, knock, hanako), "name": "/"}, origin=origin)
    assert answer.status_code == 403 and "Access-Control-Allow-Origin" not in answer.headers
    assert stage.events.messages == []


@pytest.mark.parametrize("origin", ["shop.test", "http://shop.test", "https://shop.test/", "*", "https://Shop.test", "https://a b"])
def test_what_is_no_origin_is_refused(knock: Knock, origin: str) -> None:
    is_problem(knock.api("PUT", "/site", {"origins": [origin]}), 422, "site.origin_malformed")
    assert knock.api("GET", "/site").json_body["origins"] == []


def test_a_link_that_does_not_identify_leads_on_bare(stage: Stage, knock: Knock) -> None:
    stage.world.tracking.create_link("bare", "素", f"{SHOP}/")
    cid = stage.customer("M1")
    answer = knock("GET", path_of(stage.world.tracking.click_url("bare", cid, "cmp|1", stage.clock.now())))
    assert answer.headers["Location"] == f"{SHOP}/"


def test_the_script_may_be_kept_and_is_small(knock: Knock) -> None:
    answer = knock("GET", "/site.js")
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "max-age" in answer.headers["Cache-Control"]
    assert len(answer.body) < 3_500 and b"eval" not in answer.body and b"cookie" not in answer.body


BROWSER = """
const vm = require("vm"), fs = require("fs");
const {script, address, consent, track, kept, then} = JSON.parse(process.argv[1]);
const sent = [], store = {...kept}, shown = [address];
const window = {
  location: {href: address, pathname: new URL(address).pathname}, enishiConsent: consent,
  navigator: {doNotTrack: track ? null : "1"},
  history: {state: null, replaceState: (s, t, url) => shown.push(url)},
  localStorage: {getItem: k => store[k] ?? null, setItem: (k, v) => { store[k] = v; }, removeItem: k => { delete store[k]; }},
  fetch: (url, o) => { sent.push([url, JSON.parse(o.body)]); return Promise.resolve(); },
};
const document = {currentScript: {src: "https://crm.test/api/site.js", getAttribute: () => null}};
vm.runInNewContext(fs.readFileSync(script, "utf8"), {window, document, URL, JSON, String});
for (const [verb, value] of then) window.enishi[verb](value);
console.log(JSON.stringify({sent, store, shown: shown.at(-1)}));
"""


def browse(**page: Any) -> dict[str, Any]:
    given = {"script": str(SCRIPT), "address": f"{SHOP}/ring/1", "consent": True, "track": True, "kept": {}, "then": [], **page}
    answer = subprocess.run(
        [str(shutil.which("node")), "-e", BROWSER, json.dumps(given)], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


COME = f"{SHOP}/ring/1?a=1&en=T.t#x"
TOLD = ["https://crm.test/api/site/events", {"token": "T.t", "name": "/ring/1"}]


def test_in_a_browser_with_consent_a_page_is_told_and_the_token_leaves_the_address() -> None:
    assert browse(address=COME) == {"sent": [TOLD], "store": {"enishi.en": "T.t"}, "shown": f"{SHOP}/ring/1?a=1#x"}
    assert browse(kept={"enishi.en": "T.t"})["sent"] == [TOLD]
    assert browse(kept={"enishi.en": "T.t"}, then=[["visit", "menu"]])["sent"] == [
        TOLD,
        [TOLD[0], {"token": "T.t", "name": "menu"}],
    ]


@pytest.mark.parametrize(
    "page",
    [{"consent": False}, {"consent": None}, {"consent": "yes"}, {"track": False}, {"track": False, "then": [["consent", True]]}],
)
def test_in_a_browser_without_consent_nothing_is_kept_or_told(page: dict[str, Any]) -> None:
    found = browse(address=COME, **page)
    assert (found["sent"], found["store"]) == ([], {})
    assert "en=" not in found["shown"]


def test_in_a_browser_consent_may_come_later_and_go_again() -> None:
    assert browse(address=COME, consent=None, then=[["consent", True]])["sent"] == [TOLD]
    gone = browse(address=COME, then=[["consent", False], ["visit", "x"]])
    assert (gone["sent"], gone["store"]) == ([TOLD], {})


def test_in_a_browser_of_a_stranger_nothing_happens() -> None:
    assert browse() == {"sent": [], "store": {}, "shown": f"{SHOP}/ring/1"}
