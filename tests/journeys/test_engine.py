"""A thousand people through the ready-made win-back while everything fails, in a process of its own (trial.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.journeys.trial import ENTRY, FAULTS, PAUSE, RESUME, SECOND_DEADLINE, Member
from tests.journeys.trial_checks import _line_of, _path_of, way_of

ROOT = Path(__file__).parents[2]
HOUR = timedelta(hours=1)


@pytest.mark.timeout(1200)
def test_each_of_a_thousand_people_gets_each_message_once_whatever_is_killed_refused_or_lost() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, "-m", "tests.journeys.trial", "--seed", "1", "--people", "1000"]
    played = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1100, check=False)
    print(played.stdout)  # seed and figures, shown when it fails
    assert played.returncode == 0, played.stdout[-6000:] + played.stderr[-3000:]
    died = next(line for line in played.stdout.splitlines() if "deaths:" in line)
    assert all(handler in died for handler in FAULTS.deaths), died


def member(**values: object) -> Member:
    return Member("M1", "花子", **{"user_id": "U1", "email": "a@example.jp", "phone": "09011112222", **values})  # type: ignore[arg-type]


def test_the_expected_way_follows_what_somebody_did() -> None:
    assert list(way_of(member()).steps) == ["first_try", "nudge", "mail"]
    assert way_of(member(user_id="", street="1")).steps == {"first_try": ("skipped", ENTRY), "sms": ("sent", ENTRY)}
    in_time = way_of(member(responses=[ENTRY + HOUR]))
    assert (in_time.end, in_time.version, in_time.steps["voices"][0]) == ("反応あり", 1, "sent")
    in_the_pause = way_of(member(responses=[PAUSE + HOUR]))
    assert (in_the_pause.end, in_the_pause.version, in_the_pause.steps["voices"]) == ("反応あり", 2, ("sent", RESUME))
    late = way_of(member(responses=[SECOND_DEADLINE + HOUR]))
    assert late.end == "代替配信"
    assert way_of(member(bought_at=PAUSE + HOUR)).end == "goal"
    gone = way_of(member(blocked_at=PAUSE, email="", phone=""))
    assert (gone.steps["nudge"], gone.end) == (("skipped", RESUME), "届く方法なし")


def test_the_trial_notices_a_doubled_a_missing_and_a_late_message_and_a_wrong_path() -> None:
    one = member()
    way = way_of(one)
    good = [("dormant", ENTRY), ("dormant_again", RESUME)]
    assert _line_of(one, way, good) == []
    assert len(_line_of(one, way, [*good, good[0]])) == 1
    assert len(_line_of(one, way, good[:1])) == 1
    assert len(_line_of(one, way, [good[0], ("dormant_again", RESUME + 3 * HOUR)])) == 1
    path = {"first_try__1": "sent", "x__1": "moved x case 1", "nudge__2": "sent", "mail__3": "sent"}
    kept = {"path": path, "reason": "代替配信", "version": 2, "status": "done"}
    assert _path_of(one, way, kept) == []
    assert len(_path_of(one, way, {**kept, "status": "active"})) == 1
    assert len(_path_of(one, way, {**kept, "path": {"first_try__1": "sent"}})) == 1
    assert len(_path_of(one, way, None)) == 1
