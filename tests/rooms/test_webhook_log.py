import json
from typing import Any

from chalicelib.webhook_log import table
from tests.builders import Stage


def mark(stage: Stage, event_id: str, raw: dict[str, Any]) -> None:
    now = stage.clock.now()
    stage.world.webhook_log.mark_done("main", event_id, "message", now, now, raw)


def test_an_event_is_done_once_it_is_marked(stage: Stage) -> None:
    assert not stage.world.webhook_log.is_done("01EV")
    mark(stage, "01EV", {"type": "message", "text": "こんにちは😀"})
    assert stage.world.webhook_log.is_done("01EV")
    assert not stage.world.webhook_log.is_done("01EV2")


def test_an_event_comes_back_as_it_came(stage: Stage) -> None:
    raw = {"type": "未知", "future": [1, None, {"x": 1.5}], "text": "こんにちは😀"}
    mark(stage, "01EV", raw)
    kept = stage.world.webhook_log.get("01EV")
    assert kept is not None
    assert json.loads(kept["raw"]) == raw
    assert (kept["account"], kept["kind"]) == ("main", "message")
    mark(stage, "01EV", raw)
    assert stage.world.webhook_log.get("01EV") == kept


def test_an_unknown_event_is_none(stage: Stage) -> None:
    assert stage.world.webhook_log.get("01EV") is None


def test_an_event_is_forgotten_after_the_days_of_the_setting(stage: Stage) -> None:
    mark(stage, "01EV", {})
    kept = table.get(stage.world.database, "01EV")
    assert kept is not None
    assert kept["ttl"] == int(stage.clock.now().timestamp()) + stage.world.settings.raw_event_days * 86_400


def test_an_event_too_large_for_an_item_is_kept_cut(stage: Stage) -> None:
    mark(stage, "01EV", {"text": "あ" * 350_000})
    kept = stage.world.webhook_log.get("01EV")
    assert kept is not None
    assert kept["raw"].startswith('{"text": "あああ')
    assert kept["length"] > 350_000


def test_half_a_character_in_an_event_does_not_stop_it(stage: Stage) -> None:
    mark(stage, "01EV", json.loads('{"text": "\\ud83d cut"}'))
    assert stage.world.webhook_log.is_done("01EV")
