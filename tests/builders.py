"""The cast: 縁商店's LINE account `main`; 花子 follows, 太郎 has blocked; and a world whose edges are fakes."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from chalicelib.kernel.each import in_turn
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.lake.audiences import Audiences
from chalicelib.lake.cubes import Cubes
from chalicelib.lake.questions import Questions
from chalicelib.lake.reader import Reader
from chalicelib.settings import settings
from chalicelib.wiring import World
from tests.fakes.clock import FakeClock
from tests.fakes.line import FakeInspector, FakeLine
from tests.fakes.outside import FakeEmail, FakeFiles, FakeHookCaller, FakeMachines, FakeQueue, FakeSchedules, FakeSecrets, FakeSms

MAIN = AccountKey("main")
HANAKO = LineUserId("U" + "a" * 32)
TARO = LineUserId("U" + "c" * 32)


@dataclass
class Stage:
    """A world and the fakes at its edges. Its database is MiniStack's: use the `tables` fixture."""

    world: World
    clock: FakeClock
    line: FakeLine
    email: FakeEmail
    sms: FakeSms
    files: FakeFiles
    secrets: FakeSecrets
    events: FakeQueue
    work: FakeQueue
    machines: FakeMachines
    schedules: FakeSchedules
    hook_caller: FakeHookCaller

    def friend(self, user_id: LineUserId = HANAKO, at: datetime | None = None) -> Cid:
        """Enter somebody who follows, without reactions; return his number."""
        moment = at or self.clock.now()
        facts = self.world.friends.follow(MAIN, user_id, moment, event_id=f"ev-{user_id}-{moment}", is_unblocked=False, reply=None)
        return facts[0].cid

    def customer(self, member_no: str, **values: Any) -> Cid:
        """Enter a customer; return his number."""
        return self.world.customers.save({"member_no": member_no, **values})[0].cid

    def template(self, template_id: str = "tpl_hello", text: str = "こんにちは", channel: str = "line") -> str:
        """Write a template; return its id."""
        from chalicelib.customers.model import DeliveryChannel

        contents: dict[str, dict[str, Any]] = {
            "line": {"messages": [{"type": "text", "text": text}]},
            "email": {"subject": text, "text": text},
            "sms": {"text": text},
            "postal": {"heading": text, "body": text},
        }
        self.world.messages.create(template_id, DeliveryChannel(channel), contents[channel], template_id)
        return template_id

    def scenario(self, scenario_id: str, nodes: dict[str, Any], **more: Any) -> None:
        """Draw and publish a scenario that starts at its first node; triggered by `follow` unless said otherwise."""
        graph = {
            "schema": "scenario/1",
            "name": scenario_id,
            "trigger": {"type": "event", "event": "follow"},
            "start": next(iter(nodes)),
            "nodes": nodes,
            **more,
        }
        self.world.scenarios.save_draft(scenario_id, graph)
        self.world.scenarios.publish(scenario_id)


def make_stage() -> Stage:
    """Return a world on MiniStack's tables with everything else faked; the account `main` is connected."""
    clock = FakeClock()
    world = World(settings(), clock)
    stage = Stage(
        world,
        clock,
        FakeLine(),
        FakeEmail(),
        FakeSms(),
        FakeFiles(),
        FakeSecrets(),
        FakeQueue(),
        FakeQueue(),
        FakeMachines(),
        FakeSchedules(),
        FakeHookCaller(),
    )
    # A cached property is an attribute once it is set: fakes go in before first use.
    for name in ("line", "email", "sms", "files", "secrets", "events", "work", "machines", "schedules", "hook_caller"):
        world.__dict__[name] = getattr(stage, name)
    world.__dict__["line_inspector"] = FakeInspector()
    copies = Path(gettempdir()) / f"enishi-lake-{secrets.token_hex(4)}"  # made when there is a lake to copy
    world.__dict__["analyst"] = world.__dict__["questions"] = Questions(
        Reader(stage.files, copies), Audiences(stage.files), Cubes(stage.files)
    )
    world.__dict__["each"] = world.__dict__["each_request"] = in_turn
    world.line_accounts.connect("main", "縁商店", "1234567890", "f" * 32, "https://shop.test/line-login")
    return stage
