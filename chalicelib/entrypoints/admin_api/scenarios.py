"""Scenarios."""

from __future__ import annotations

from typing import Any, Literal

from chalicelib.entrypoints.admin_api.customers import cid_in
from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import InvalidError
from chalicelib.reactions import react
from chalicelib.scenarios.model import ScenarioHead
from chalicelib.scenarios.ready_made import ReadyMade


class ScenarioBody(Body, kw_only=True):
    """A drawing in the grammar scenario/1 (docs/scenario-format.md): as JSON in `graph`, or as a text in `yaml`."""

    graph: dict[str, Any] | None = None
    yaml: str | None = None


class ScenarioView(View, kw_only=True):
    """A scenario. version: the published one, 0 for none."""

    scenario_id: str
    name: str
    state: str
    version: int
    pause_reason: str
    draft: dict[str, Any]


class ScenarioList(View, kw_only=True):
    """All scenarios."""

    items: list[ScenarioView]


class ScenarioText(View, kw_only=True):
    """A drawing as people read and write it."""

    yaml: str


class ProblemList(View, kw_only=True):
    """What keeps a drawing from being published: node, code, path inside it, and in `ja` and `en` what to do."""

    problems: list[dict[str, str]]


class Machine(View, kw_only=True):
    """A state machine in Amazon States Language."""

    definition: dict[str, Any]


class PauseBody(Body, kw_only=True):
    """Why, for the colleagues."""

    reason: str = ""


def _view(head: ScenarioHead) -> ScenarioView:
    return ScenarioView(
        scenario_id=head.scenario_id,
        name=head.name,
        state=head.state,
        version=head.version,
        pause_reason=head.pause_reason,
        draft=dict(head.draft),
    )


@endpoint("GET", "/scenarios", scope="scenarios:read", summary="シナリオの一覧 / List scenarios", response=ScenarioList)
def list_scenarios(call: Call[None]) -> ScenarioList:
    """List scenarios."""
    return ScenarioList(items=[_view(head) for head in call.world.scenarios.everyone()])


@endpoint(
    "PUT", "/scenarios/{scenario_id}", scope="scenarios:write", summary="シナリオの下書きを保存 / Save a drawing",
    request=ScenarioBody, response=ScenarioView,
)  # fmt: skip
def save_scenario(call: Call[ScenarioBody]) -> ScenarioView:
    """Save a drawing."""
    given = call.body
    if (given.graph is None) == (given.yaml is None):
        raise InvalidError("scenario.drawing_missing")
    if given.yaml is not None:
        return _view(call.world.scenarios.save_text(call.path["scenario_id"], given.yaml))
    return _view(call.world.scenarios.save_draft(call.path["scenario_id"], given.graph or {}))


@endpoint("GET", "/scenarios/{scenario_id}", scope="scenarios:read", summary="シナリオ / One scenario", response=ScenarioView)
def get_scenario(call: Call[None]) -> ScenarioView:
    """Return a scenario."""
    return _view(call.world.scenarios.get(call.path["scenario_id"]))


@endpoint(
    "GET", "/scenarios/{scenario_id}/yaml", scope="scenarios:read", response=ScenarioText,
    summary="シナリオをYAMLで読む / One scenario as YAML",
)  # fmt: skip
def get_scenario_text(call: Call[None]) -> ScenarioText:
    """Return a drawing as YAML."""
    return ScenarioText(yaml=call.world.scenarios.text(call.path["scenario_id"]))


@endpoint(
    "GET", "/scenario-schema", scope="scenarios:read", response=dict[str, Any],
    summary="シナリオの書き方（JSON Schema 2020-12） / The grammar as JSON Schema",
)  # fmt: skip
def get_scenario_schema(_: Call[None]) -> dict[str, Any]:
    """Return the grammar for editors."""
    from chalicelib.scenarios.schema import schema

    return schema()


@endpoint(
    "GET",
    "/scenarios/{scenario_id}/problems",
    scope="scenarios:read",
    summary="公開前の確認 / Problems of a drawing",
    response=ProblemList,
)
def check_scenario(call: Call[None]) -> ProblemList:
    """Return the problems of a drawing."""
    return ProblemList(problems=call.world.scenarios.problems(call.path["scenario_id"]))


@endpoint(
    "GET",
    "/scenarios/{scenario_id}/machine",
    scope="scenarios:read",
    summary="ステートマシン定義 / The state machine",
    response=Machine,
)
def get_machine(call: Call[None]) -> Machine:
    """Return the machine that a drawing would become."""
    return Machine(definition=call.world.scenarios.machine(call.path["scenario_id"]))


@endpoint(
    "POST", "/scenarios/{scenario_id}/publish", scope="scenarios:write", summary="シナリオを公開 / Publish", response=ScenarioView
)
def publish_scenario(call: Call[None]) -> ScenarioView:
    """Publish a drawing."""
    return _view(call.world.scenarios.publish(call.path["scenario_id"]))


@endpoint(
    "POST",
    "/scenarios/{scenario_id}/pause",
    scope="scenarios:write",
    summary="一時停止 / Pause",
    request=PauseBody,
    response=ScenarioView,
)
def pause_scenario(call: Call[PauseBody]) -> ScenarioView:
    """Pause a scenario."""
    return _view(call.world.upkeep.pause(call.path["scenario_id"], call.body.reason))


class ResumeBody(Body, kw_only=True):
    """What becomes of those whose time came in the pause: `now`, `shift` (put off by the pause), `skip` (left out)."""

    mode: Literal["now", "shift", "skip"] = "now"


class MoveBody(Body, kw_only=True):
    """Where people go: by node id; mapping: old node to new node, "" is the exit."""

    from_version: int
    mapping: dict[str, str] = {}


@endpoint(
    "POST", "/scenarios/{scenario_id}/resume", scope="scenarios:write", request=ResumeBody, response=ScenarioView, idempotent=True,
    summary="再開（止めていた間の分: now すぐ送る・shift 後ろにずらす・skip 飛ばす） / Resume",
)  # fmt: skip
def resume_scenario(call: Call[ResumeBody]) -> ScenarioView:
    """Resume a scenario."""
    head, steps = call.world.upkeep.resume(call.path["scenario_id"], call.body.mode)
    enqueue(steps, call.world)
    return _view(head)


@endpoint(
    "POST", "/scenarios/{scenario_id}/stop", scope="scenarios:write", request=PauseBody, response=ScenarioView, idempotent=True,
    summary="中止（全員をシナリオから外します。元に戻せません） / Call off for good",
)  # fmt: skip
def stop_scenario(call: Call[PauseBody]) -> ScenarioView:
    """Call a scenario off."""
    head, steps = call.world.upkeep.stop(call.path["scenario_id"], call.body.reason)
    enqueue(steps, call.world)
    return _view(head)


@endpoint(
    "POST", "/scenarios/{scenario_id}/move", scope="scenarios:write", request=MoveBody, response=ScenarioView, idempotent=True,
    summary="進行中の人を公開中の版へ移す / Move those in flight to the current version",
)  # fmt: skip
def move_scenario(call: Call[MoveBody]) -> ScenarioView:
    """Move people to the current version."""
    head, steps = call.world.upkeep.relocate(call.path["scenario_id"], call.body.from_version, call.body.mapping)
    enqueue(steps, call.world)
    return _view(head)


@endpoint(
    "PUT", "/scenarios/{scenario_id}/enrollments/{customer_id}", scope="scenarios:write", status=202, idempotent=True,
    summary="1人をシナリオに登録 / Enroll one person",
)  # fmt: skip
def enroll_customer(call: Call[None]) -> None:
    """Enroll a person by hand."""
    occurrence = f"api|{call.principal.key_id}|{call.idempotency_key}"
    call.world.entries.by_hand(call.path["scenario_id"], cid_in(call), occurrence, tell=lambda facts: react(facts, call.world))


class ReadyMadeView(View, kw_only=True):
    """A scenario that comes with the product. needs: what has to be set first; missing_links: links still to be made."""

    ready_id: str
    name: str
    purpose: dict[str, str]
    needs: list[dict[str, str]]
    links: list[dict[str, str]]
    missing_links: list[str]
    templates: list[dict[str, Any]]
    graph: dict[str, Any]


class ReadyMadeList(View, kw_only=True):
    """All that come with the product."""

    items: list[ReadyMadeView]


class DrawBody(Body, kw_only=True):
    """Under which id (the ready-made one's own if empty), and which LINE account sends (any that reaches the person if empty)."""

    scenario_id: str = ""
    account: str = ""


@endpoint(
    "GET", "/ready-made-scenarios", scope="scenarios:read", response=ReadyMadeList,
    summary="シナリオのひな形（目的・必要な設定・文面） / Scenarios that come with the product",
)  # fmt: skip
def list_ready_made_scenarios(call: Call[None]) -> ReadyMadeList:
    """List the ready-made scenarios."""
    there = {link.link_id for link in call.world.tracking.links()}
    return ReadyMadeList(items=[_ready_made(found, there) for found in call.world.ready_mades.everyone()])


@endpoint(
    "POST", "/ready-made-scenarios/{ready_id}", scope="scenarios:write", request=DrawBody, response=ScenarioView, status=201,
    summary="ひな形から下書きと足りないテンプレートを作る（公開はしません） / Make a draft and its templates, publishing nothing",
)  # fmt: skip
def draw_ready_made_scenario(call: Call[DrawBody]) -> ScenarioView:
    """Make a draft of a ready-made scenario."""
    return _view(call.world.ready_mades.draw(call.path["ready_id"], call.body.scenario_id, call.body.account))


def _ready_made(found: ReadyMade, there: set[str]) -> ReadyMadeView:
    return ReadyMadeView(
        ready_id=found.ready_id,
        name=str(found.graph["name"]),
        purpose=dict(found.purpose),
        needs=[dict(need) for need in found.needs],
        links=[dict(link) for link in found.links],
        missing_links=[link["link_id"] for link in found.links if link["link_id"] not in there],
        templates=[dict(template) for template in found.templates],
        graph=dict(found.graph),
    )
