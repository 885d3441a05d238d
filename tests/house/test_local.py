"""The local run: one clock, a time machine that knows when all is quiet, and one sentence when something is in the way."""

from __future__ import annotations

import importlib.metadata
import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import ministack
from local.child import LocalError
from local.clock import FileClock, set_clock
from local.mail_events import events_of
from local.stack import free_ports, require_free
from local.time_machine import TimeMachine, restlessness
from local.up import PidFile, port, started_at
from local.virtual_time import VirtualTime, patch_queues, patch_scheduler, patch_step_functions

NOON = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


def quiet(**changed: Any) -> dict[str, Any]:
    """Return the status of a stack at rest, with changes."""
    status: dict[str, Any] = {
        "virtual_now": NOON.timestamp(),
        "applied_real": 2e9,
        "executions": 0,
        "busy_executions": [],
        "next_wait": None,
        "next_schedule": None,
        "queues": {},
        "esm_inflight": 0,
        "lambda_inflight": 0,
        "async_inflight": 0,
        "seq": 1,
    }
    return {**status, **changed}


# --- the clock


def test_the_clock_runs_from_where_it_was_set_at_the_speed_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    setting = set_clock(path, NOON, scale=3600)
    assert setting.seconds(setting.real + 2) == NOON.timestamp() + 7200
    first = FileClock(path).now()
    assert first >= NOON
    assert first.tzinfo is UTC


def test_every_reader_sees_a_new_setting_at_once(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    set_clock(path, NOON)
    clock = FileClock(path)
    for days in range(1, 20):
        set_clock(path, NOON + timedelta(days=days))
        assert clock.now() - (NOON + timedelta(days=days)) < timedelta(seconds=5)


def test_a_broken_file_does_not_stop_time(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    set_clock(path, NOON)
    clock = FileClock(path)
    clock.now()
    path.write_text("{", encoding="utf-8")
    assert clock.now() >= NOON


def test_without_a_file_it_is_the_machines_clock(tmp_path: Path) -> None:
    assert abs(FileClock(tmp_path / "none").seconds() - time.time()) < 5


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_the_clock_refuses_to_stand_still_or_run_backwards(tmp_path: Path, scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        set_clock(tmp_path / "clock.json", NOON, scale)


# --- the time machine


class Stage:
    """Plays MiniStack and the simulator from a list of statuses; the last one stays."""

    def __init__(self, *statuses: dict[str, Any], line: Mapping[str, Any] | None = None) -> None:
        self.statuses = list(statuses)
        self.line = line or {}
        self.reads = 0

    def __call__(self, url: str) -> Mapping[str, Any]:
        if url.endswith("/_sim/status"):
            return self.line
        self.reads += 1
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


def machine(tmp_path: Path, stage: Stage) -> TimeMachine:
    set_clock(tmp_path / "clock.json", NOON)
    return TimeMachine("http://aws", tmp_path / "clock.json", "http://line", fetch=stage)


def test_it_settles_only_after_two_equal_quiet_reads(tmp_path: Path) -> None:
    stage = Stage(quiet(lambda_inflight=1), quiet(seq=2), quiet(seq=3), quiet(seq=3))
    machine(tmp_path, stage).settle(5)
    assert stage.reads == 4


def test_it_says_what_would_not_come_to_rest(tmp_path: Path) -> None:
    stage = Stage(quiet(queues={"enishi-local-work": {"visible": 3, "taken": 1, "delayed": 0}}))
    with pytest.raises(LocalError, match="enishi-local-work holds 3"):
        machine(tmp_path, stage).settle(0.1)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (quiet(applied_real=0.5), {}),
        (quiet(busy_executions=["arn"]), {}),
        (quiet(lambda_inflight=1), {}),
        (quiet(async_inflight=1), {}),
        (quiet(esm_inflight=1), {}),
        (quiet(queues={"q": {"visible": 0, "taken": 1, "delayed": 0}}), {}),
        (quiet(next_wait=NOON.timestamp()), {}),
        (quiet(next_schedule=NOON.timestamp() - 1), {}),
        (quiet(), {"pending_webhooks": 1}),
        (quiet(), {"pending_webhooks": 0, "in_flight_requests": 2}),
    ],
)
def test_anything_in_flight_or_due_is_not_rest(status: dict[str, Any], line: dict[str, Any]) -> None:
    assert restlessness(status, line, clock_real=1.0)


@pytest.mark.parametrize(
    "status",
    [
        quiet(),
        quiet(queues={"enishi-local-work-dead": {"visible": 2, "taken": 0, "delayed": 0}}),
        quiet(queues={"q": {"visible": 0, "taken": 0, "delayed": 1, "next_in_seconds": 60.0}}),
        quiet(next_wait=NOON.timestamp() + 1, executions=7),
    ],
)
def test_dead_letters_and_what_waits_for_time_are_at_rest(status: dict[str, Any]) -> None:
    assert not restlessness(status, {"pending_webhooks": 0, "in_flight_requests": 1}, clock_real=1.0)


def test_the_next_due_instant_is_the_earliest_of_all(tmp_path: Path) -> None:
    delayed = {"q": {"visible": 0, "taken": 0, "delayed": 1, "next_in_seconds": 90.0}}
    stage = Stage(quiet(next_wait=NOON.timestamp() + 500, next_schedule=NOON.timestamp() + 100, queues=delayed))
    assert machine(tmp_path, stage).next_due() == NOON + timedelta(seconds=90)
    assert machine(tmp_path, Stage(quiet())).next_due() is None


def test_advancing_stops_at_every_instant_on_the_way(tmp_path: Path) -> None:
    clock = FileClock(tmp_path / "clock.json")
    due = [NOON + timedelta(days=day) for day in (1, 3, 9)]
    seen: list[datetime] = []

    def fetch(url: str) -> Mapping[str, Any]:
        if url.endswith("/_sim/status"):
            return {}
        now = clock.now()
        while due and due[0] <= now:
            seen.append(due.pop(0))
        return quiet(next_wait=due[0].timestamp() if due else None, virtual_now=now.timestamp())

    set_clock(tmp_path / "clock.json", NOON)
    TimeMachine("http://aws", tmp_path / "clock.json", "http://line", fetch=fetch).advance_to(NOON + timedelta(days=7), 5)
    assert seen == [NOON + timedelta(days=1), NOON + timedelta(days=3)]
    assert timedelta() <= clock.now() - (NOON + timedelta(days=7)) < timedelta(seconds=5)


# --- waits inside MiniStack


@pytest.fixture
def virtual(tmp_path: Path) -> VirtualTime:
    set_clock(tmp_path / "clock.json", NOON)
    found = VirtualTime(FileClock(tmp_path / "clock.json"))
    found.start()
    return found


def test_a_wait_of_days_ends_when_the_clock_gets_there(virtual: VirtualTime, tmp_path: Path) -> None:
    ended = threading.Event()
    due = (NOON + timedelta(days=7)).timestamp()

    def wait() -> None:
        virtual.wait_until(due)
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    while virtual.next_wait() is None:
        time.sleep(0.001)
    assert virtual.next_wait() == due
    assert not ended.wait(0.05)
    set_clock(tmp_path / "clock.json", NOON + timedelta(days=7, seconds=1))
    assert ended.wait(2)


def test_a_jump_shortens_delays_but_not_visibility(virtual: VirtualTime, tmp_path: Path) -> None:
    now = time.time()
    delayed, taken = {"visible_at": now + 600, "receive_count": 0}, {"visible_at": now + 600, "receive_count": 1}
    service = SimpleNamespace(_queues=SimpleNamespace(_data={"q": {"messages": [delayed, taken]}}))
    patch_queues(virtual, service)
    set_clock(tmp_path / "clock.json", NOON + timedelta(hours=1))
    deadline = time.monotonic() + 2
    while delayed["visible_at"] > time.time() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert delayed["visible_at"] <= time.time()
    assert taken["visible_at"] == now + 600


def test_ministack_still_has_the_names_that_we_replace(virtual: VirtualTime) -> None:
    """A bump of MiniStack fails here first."""
    services = pytest.importorskip("ministack.services.stepfunctions")
    scheduler = pytest.importorskip("ministack.services.scheduler")
    for module, names in (
        (
            services,
            ("_scaled_sleep", "_sleep_until", "_run_execution", "_run_sub_machine", "_run_map_items", "_run_parallel_branches"),
        ),
        (scheduler, ("_tick_schedules", "_SCHEDULE_TICK_INTERVAL", "_at_time_epoch", "_schedule_last_fired")),
    ):
        assert [name for name in names if not hasattr(module, name)] == []
    assert callable(patch_step_functions)
    assert callable(patch_scheduler)
    assert ministack.refusal(importlib.metadata.version("ministack")) == ""


def test_another_ministack_is_refused_in_one_sentence() -> None:
    sentence = ministack.refusal("9.9.9")
    assert "9.9.9" in sentence
    assert ministack.SUPPORTED in sentence
    assert "\n" not in sentence


def test_ministack_never_listens_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIND_HOST", raising=False)
    with pytest.raises(SystemExit, match="127.0.0.1"):
        ministack.main()


# --- e-mail events


def test_amazons_test_addresses_decide_what_becomes_of_a_mail() -> None:
    to = ["hanako@example.com", "bounce@simulator.amazonses.com", "complaint+1@simulator.amazonses.com"]
    request = {"Destination": {"ToAddresses": to}, "EmailTags": [{"Name": "delivery_id", "Value": "dlv_1"}]}
    events = list(events_of(request, "m1", NOON))
    assert [event["eventType"] for event in events] == ["Send", "Delivery", "Bounce", "Complaint"]
    assert all(event["mail"]["tags"] == {"delivery_id": ["dlv_1"]} for event in events)
    assert events[2]["bounce"]["bounceType"] == "Permanent"


# --- what stands in the way


def test_a_busy_port_is_one_sentence_that_says_what_to_do() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        number = busy.getsockname()[1]
        with pytest.raises(LocalError) as caught:
            require_free(number, "MiniStack", "ENISHI_AWS_PORT")
    assert str(number) in str(caught.value)
    assert "ENISHI_AWS_PORT" in str(caught.value)
    assert "\n" not in str(caught.value)
    require_free(free_ports(1)[0], "MiniStack")


def test_a_port_of_ours_is_never_given_to_an_outgoing_connection_while_its_process_starts_again() -> None:
    found = free_ports(20)
    assert len(set(found)) == 20
    # Linux gives 32768 and above, macOS and IANA 49152 and above.
    assert all(1024 < number < 32768 for number in found)


def test_a_port_must_be_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENISHI_AWS_PORT", "8x")
    with pytest.raises(LocalError, match="ENISHI_AWS_PORT"):
        port("ENISHI_AWS_PORT")


def test_an_earlier_run_that_lives_is_named_and_a_dead_one_forgotten(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "up.pid")
    file.claim()
    with pytest.raises(LocalError, match=str(os.getpid())):
        file.claim()
    (tmp_path / "up.pid").write_text(json.dumps({"pid": os.getpid(), "started": "another start"}), encoding="utf-8")
    assert file.running() == 0
    file.claim()
    file.release()
    assert not (tmp_path / "up.pid").exists()


def test_a_process_has_one_start_time() -> None:
    assert started_at(os.getpid()) == started_at(os.getpid()) != ""
    assert started_at(2**22 + 1) == ""
