"""Scenarios in the config table: heads (`SCN` / id) and published versions (`SCN#id` / version)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import ScenarioId
from chalicelib.scenarios.graph import parse, to_json
from chalicelib.scenarios.model import Relocation, ScenarioHead, ScenarioState, Version
from chalicelib.storage import ConfigItem, saved


class ScenarioItem(ConfigItem):
    """The head of a scenario."""

    name = UnicodeAttribute()
    state = UnicodeAttribute()
    version = NumberAttribute(default=0)
    draft = JSONAttribute()
    revision = NumberAttribute()
    pause_reason = UnicodeAttribute(default="")
    paused_at = UnicodeAttribute(default="")
    moves = JSONAttribute(default=dict)
    resumes_at = UnicodeAttribute(default="")
    skipped = UnicodeAttribute(default="")


class VersionItem(ConfigItem):
    """A published version. ended_at: when nobody was left in it and its machine was deleted."""

    graph = JSONAttribute()
    published_at = UnicodeAttribute()
    ended_at = UnicodeAttribute(default="")


def _head(item: ScenarioItem) -> ScenarioHead:
    moves = {int(number): Relocation(move["to"], move["mapping"]) for number, move in (item.moves or {}).items()}
    return ScenarioHead(
        ScenarioId(item.sk),
        item.name,
        ScenarioState(item.state),
        int(item.version),
        item.draft,
        int(item.revision),
        item.pause_reason,
        from_text(item.paused_at) if item.paused_at else None,
        moves,
        from_text(item.resumes_at) if item.resumes_at else None,
        (from_text(item.skipped.split()[0]), from_text(item.skipped.split()[1])) if item.skipped else None,
    )


def put_head(head: ScenarioHead) -> bool:
    """Write a head whose revision follows the kept one; return False when it does not."""
    item = ScenarioItem(
        "SCN",
        head.scenario_id,
        name=head.name,
        state=head.state,
        version=head.version,
        draft=dict(head.draft),
        revision=head.revision,
        pause_reason=head.pause_reason,
        paused_at=to_text(head.paused_at) if head.paused_at else "",
        moves={str(number): {"to": move.to_version, "mapping": dict(move.mapping)} for number, move in head.moves.items()},
        resumes_at=to_text(head.resumes_at) if head.resumes_at else "",
        skipped=" ".join(to_text(moment) for moment in head.skipped) if head.skipped else "",
    )
    condition = ScenarioItem.pk.does_not_exist() if head.revision == 1 else ScenarioItem.revision == head.revision - 1
    return saved(item, condition)


def head(scenario_id: str) -> ScenarioHead | None:
    """Return a scenario's head."""
    try:
        return _head(ScenarioItem.get("SCN", scenario_id, consistent_read=True))
    except ScenarioItem.DoesNotExist:
        return None


def heads() -> list[ScenarioHead]:
    """Return all scenarios by id."""
    return [_head(item) for item in ScenarioItem.query("SCN")]


def put_version(version: Version, at: datetime) -> None:
    """Write a version; the same when repeated."""
    VersionItem(
        f"SCN#{version.scenario_id}", f"v{version.version:05d}", graph=to_json(version.graph), published_at=to_text(at)
    ).save()


def version(scenario_id: str, number: int) -> Version | None:
    """Return a published version."""
    try:
        item = VersionItem.get(f"SCN#{scenario_id}", f"v{number:05d}", consistent_read=True)
    except VersionItem.DoesNotExist:
        return None
    return Version(ScenarioId(scenario_id), number, parse(item.graph))


def versions(scenario_id: str) -> list[Mapping[str, Any]]:
    """Return number, publishing and end of all versions, oldest first."""
    items = VersionItem.query(f"SCN#{scenario_id}", consistent_read=True)
    return [{"version": int(item.sk[1:]), "published_at": item.published_at, "ended_at": item.ended_at} for item in items]


def end_version(scenario_id: str, number: int, at: datetime) -> None:
    """Note that nobody is left in a version and its machine is gone."""
    VersionItem(f"SCN#{scenario_id}", f"v{number:05d}").update(actions=[VersionItem.ended_at.set(to_text(at))])


def reopen_version(scenario_id: str, number: int) -> None:
    """Note that somebody is in a version again and its machine is back."""
    VersionItem(f"SCN#{scenario_id}", f"v{number:05d}").update(actions=[VersionItem.ended_at.set("")])
