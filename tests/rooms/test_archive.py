"""Everything out into one file and into an empty installation again: the same items, and scenarios go on."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.adapters import aws
from chalicelib.archive.model import TABLES, ArchiveState, Standing, is_left_out
from chalicelib.archive.service import Archives
from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints import workers
from chalicelib.kernel.errors import InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.wire import plain
from chalicelib.orders.model import Line, Order
from chalicelib.ports.database import Item
from chalicelib.scenarios.model import EnrollmentStatus
from tests.builders import HANAKO, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, follow, rest, say, texts

PARTS = 3


@pytest.fixture(autouse=True)
def archives(stage: Stage) -> Archives:
    """A house of few parts, each step of which takes in few items."""
    made = Archives(stage.world.database, stage.files, stage.schedules, stage.clock, parts=PARTS)
    stage.world.__dict__["archives"] = made
    return made


def names(stage: Stage) -> dict[str, str]:
    own = stage.world.settings
    return dict(zip(TABLES, (own.config_table, own.core_table, own.timeline_table, own.engine_table), strict=True))


def everything(stage: Stage) -> dict[str, dict[tuple[str, str], Item]]:
    return {
        table: {
            (item["pk"], item["sk"]): dict(item)
            for item in stage.world.database.scan(name, segment=0, segments=1)
            if not is_left_out(table, item["pk"])
        }
        for table, name in names(stage).items()
    }


def wipe(stage: Stage) -> None:
    """Make it another installation, in which nothing is but a key."""
    for name in names(stage).values():
        for item in list(stage.world.database.scan(name, segment=0, segments=1)):
            aws.client("dynamodb").delete_item(TableName=name, Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}})
    stage.machines.published.clear()
    stage.machines.started.clear()
    stage.schedules.armed.clear()
    stage.world.staff.issue("新しい環境", ["*"])


def work(stage: Stage, steps: list[dict[str, Any]]) -> None:
    """Let the worker do the steps and what follows, each twice, as a queue may."""
    while steps:
        step = json.loads(json.dumps(steps.pop(0)))
        workers.do(step, stage.world)
        steps += workers.do(step, stage.world)


def export(stage: Stage) -> bytes:
    archive_id, steps = stage.world.archives.order("enk_1")
    work(stage, steps)
    standing = stage.world.archives.get(archive_id)
    assert standing.state is ArchiveState.DONE and standing.outcome is not None
    assert standing.outcome.counts == {table: len(items) for table, items in everything(stage).items()}
    assert not [key for key in stage.files.kept if "/part/" in key]
    return stage.files.kept[f"archives/{archive_id}.zip"]


def take_in(stage: Stage, content: bytes) -> Standing:
    archive_id, _ = stage.world.archives.order_import("enk_2")
    assert stage.world.archives.get(archive_id).state is ArchiveState.CREATED
    stage.files.kept[f"archives/{archive_id}/upload.zip"] = content
    work(stage, stage.world.archives.start_import(archive_id))
    return stage.world.archives.get(archive_id)


def fill(stage: Stage) -> None:
    """Make a company with a little of everything."""
    world = stage.world
    for number in range(12):
        cid = stage.customer(
            f"M{number}", name=f"顧客{number} \"'\\ 😀", email=f"m{number}@example.com", attributes={"点": number / 4, "会員": True}
        )
        at = stage.clock.now() - timedelta(days=number)
        world.orders.take([Order(f"A-{number}", cid, at, 1000 + number, (), "銀座", (Line("ピアスA", "ピアス", 2, 1000),))])
    tag = world.tags.create("VIP")
    world.tags.add(cid, tag.tag_id, by="test")
    world.customers.set_consent(cid, DeliveryChannel.EMAIL, opted_out=True, source="test")
    world.customers.suppress(DeliveryChannel.EMAIL, "gone@example.com", "bounced")
    world.tracking.create_link("spring", "春", "https://shop.test/")
    world.segments.save("seg_all", "全員", {"all": []})


def test_what_comes_out_goes_in_and_comes_out_again_the_same(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.archive.service._ITEMS_A_STEP", 7)
    monkeypatch.setattr("chalicelib.archive.service._AT_ONCE", 5)
    fill(stage)
    before, highest = everything(stage), stage.world.people.highest()
    content = export(stage)
    wipe(stage)
    standing = take_in(stage, content)
    assert (standing.state, standing.share_done) == (ArchiveState.DONE, 1.0)
    assert standing.outcome and standing.outcome.counts == {table: len(items) for table, items in before.items()}
    assert everything(stage) == before
    assert stage.world.people.highest() == highest, "the next person gets a number that nobody has"
    assert lines_of(export(stage)) == lines_of(content)


def lines_of(content: bytes) -> list[tuple[str, str, dict[str, Any]]]:
    """Return an archive's items by table, in an order of their own."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [name for name in archive.namelist() if name.endswith(".gz")]
        lines = [(name.split("/")[0], line) for name in files for line in gzip.decompress(archive.read(name)).splitlines()]
    items = [(table, plain(json.loads(line)["Item"])) for table, line in lines]
    return sorted(((table, f"{item['pk']} {item['sk']}", item) for table, item in items), key=lambda found: found[:2])


def test_secrets_stay_behind_and_what_needs_them_is_named(stage: Stage) -> None:
    from chalicelib.delivery.hooks import Hook

    key, token = stage.world.staff.issue("店長", ["*"])
    secret = stage.world.hooks.save(Hook("crm", "基幹", "https://crm.test/hook"))
    content = export(stage)
    told = repr(lines_of(content)).encode()
    for word in (key.key_id, token.partition(".")[2], secret, "f" * 32, "s" * 40):
        assert word.encode() not in told
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert json.loads(archive.read("manifest.json"))["lost"] == ["HOOK crm"]
    wipe(stage)
    standing = take_in(stage, content)
    assert standing.outcome and list(standing.outcome.lost) == ["HOOK crm"]


def test_scenarios_go_on_in_the_other_house_where_they_stood(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "はじめまして")
    stage.template("tpl_b", "お元気ですか")
    stage.scenario("welcome", {"a": say("tpl_a", "w"), "w": rest("P3D", "b"), "b": say("tpl_b", "e"), "e": END})
    follow(stage)
    runner.days(1)
    assert texts(stage) == ["はじめまして"]
    content = export(stage)
    wipe(stage)
    fresh = Runner(stage)
    assert take_in(stage, content).state is ArchiveState.DONE
    stage.world.published.forget()
    fresh.days(1)
    assert texts(stage) == ["はじめまして"]
    fresh.days(1.1)
    assert texts(stage) == ["はじめまして", "お元気ですか"], "on the third day, once"
    (run,) = stage.world.scenario_people.of(stage.world.friends.find("main", HANAKO).cid)  # type: ignore[union-attr, arg-type]
    assert run.row.status == EnrollmentStatus.DONE


def test_a_house_in_which_anybody_lives_takes_nothing_in(stage: Stage) -> None:
    stage.customer("M1")
    content = export(stage)
    before = everything(stage)
    standing = take_in(stage, content)
    assert (standing.state, standing.outcome and standing.outcome.problem) == (ArchiveState.FAILED, "archive.not_fresh")
    assert everything(stage) == before
    wipe(stage)
    assert take_in(stage, content).state is ArchiveState.DONE, "a refusal leaves no lock behind"


def until_inside(stage: Stage, archive_id: str) -> list[dict[str, Any]]:
    """Work on an import until the house is its own; return the steps that are left."""
    archives = stage.world.archives
    steps = archives.start_import(archive_id)
    while f"archives/{archive_id}/begun" not in stage.files.kept:
        steps += archives.do(steps.pop(0))
    return steps


def rewritten(content: bytes, change: Callable[[list[bytes]], list[bytes]], made_at: str = "") -> bytes:
    """Return an archive whose core lines are others; its sums are right."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        files = {entry["name"]: archive.read(entry["name"]) for entry in manifest["entries"]}
    (entry,) = [entry for entry in manifest["entries"] if entry["name"] == "core/001.jsonl.gz"]
    lines = change(gzip.decompress(files[entry["name"]]).splitlines(keepends=True))
    packed = files[entry["name"]] = gzip.compress(b"".join(lines))
    entry |= {"sha256": hashlib.sha256(packed).hexdigest(), "count": len(lines)}
    manifest |= {"made_at": made_at} if made_at else {}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, told in {**files, "manifest.json": json.dumps(manifest).encode()}.items():
            target.writestr(name, told)
    return out.getvalue()


LINES = [
    b"{\n", b"{}\n", b"[]\n", b"\xff\n", b'{"Item":{"pk":{"S":"C#1"}}}\n', b'{"Item":{"pk":{"N":"1"},"sk":{"S":"P"}}}\n',
    b'{"Item":{"pk":{"S":"C#1"},"sk":{"S":"P"},"n":{"N":"one"}}}\n', b" " * 3_000_001 + b"\n",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_line_that_cannot_be_read_is_named_before_anything_is_written(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr("chalicelib.archive.service._ITEMS_A_STEP", 2)
    for number in range(8):
        stage.customer(f"M{number}")
    content = export(stage)
    wipe(stage)
    standing = take_in(stage, rewritten(content, lambda lines: [*lines[:4], line, *lines[4:]]))
    assert standing.outcome and standing.outcome.problem == "archive.line_broken"
    assert standing.outcome.details == {"name": "core/001.jsonl.gz", "line": "5"}
    assert not any(everything(stage).values())
    assert take_in(stage, content).state is ArchiveState.DONE, "the mended one, or another, comes in"


def test_a_file_that_holds_less_than_it_says_is_refused(stage: Stage) -> None:
    stage.customer("M1")
    content = export(stage)
    wipe(stage)
    wrong = rewritten(content, lambda lines: lines).replace(b'"count": ', b'"count": 1')
    standing = take_in(stage, wrong)
    assert standing.outcome and standing.outcome.problem == "archive.malformed"
    assert not any(everything(stage).values())


def test_an_import_that_stopped_half_way_is_gone_on_with_by_the_same_archive_alone(stage: Stage) -> None:
    fill(stage)
    before, content = everything(stage), export(stage)
    wipe(stage)
    archive_id, _ = stage.world.archives.order_import("enk")
    upload = f"archives/{archive_id}/upload.zip"
    stage.files.kept[upload] = content
    steps = until_inside(stage, archive_id)
    steps = steps[1:] + stage.world.archives.do(steps[0])
    stage.files.kept[upload] = rewritten(content, lambda _: [b"{"])  # put there by somebody after it was checked
    work(stage, steps)
    standing = stage.world.archives.get(archive_id)
    assert (standing.state, standing.outcome and standing.outcome.problem) == (ArchiveState.FAILED, "archive.half_filled")
    assert 0 < sum(map(len, everything(stage).values())) < sum(map(len, before.values()))
    other = take_in(stage, rewritten(content, lambda lines: lines, made_at="2026-12-31T00:00:00Z"))
    assert other.outcome and other.outcome.problem == "archive.half_filled"
    assert take_in(stage, content).state is ArchiveState.DONE
    assert everything(stage) == before
    again = take_in(stage, content)
    assert again.outcome and again.outcome.problem == "archive.not_fresh"


def test_an_installation_made_anew_takes_another_archive_in_although_an_import_had_stopped_half_way(stage: Stage) -> None:
    fill(stage)
    content = export(stage)
    wipe(stage)
    archive_id, _ = stage.world.archives.order_import("enk")
    stage.files.kept[f"archives/{archive_id}/upload.zip"] = content
    stage.world.archives.do(until_inside(stage, archive_id)[0])
    stage.clock.advance(hours=13)
    wipe(stage)  # its files on S3 stay
    assert take_in(stage, rewritten(content, lambda lines: lines, made_at="2026-12-31T00:00:00Z")).state is ArchiveState.DONE


def test_an_import_that_gave_up_is_gone_on_with(stage: Stage) -> None:
    fill(stage)
    before, content = everything(stage), export(stage)
    wipe(stage)
    archive_id, _ = stage.world.archives.order_import("enk")
    stage.files.kept[f"archives/{archive_id}/upload.zip"] = content
    stage.world.archives.do(until_inside(stage, archive_id)[0])
    stage.clock.advance(hours=13)
    assert take_in(stage, content).state is ArchiveState.DONE
    assert everything(stage) == before


def test_the_lock_of_an_import_of_before_this_version_is_no_reason_to_fail_without_end(stage: Stage) -> None:
    stage.customer("M1")
    content = export(stage)
    wipe(stage)
    stage.files.kept["archives/import.lock"] = b"arc_01HZZZZZZZZZZZZZZZZZZZZZZZ"
    standing = take_in(stage, content)
    assert (standing.state, standing.outcome and standing.outcome.problem) == (ArchiveState.FAILED, "archive.not_fresh")


def test_two_cannot_be_taken_in_at_once(stage: Stage, archives: Archives) -> None:
    stage.customer("M1")
    content = export(stage)
    wipe(stage)
    ids = [archives.order_import("enk")[0] for _ in range(2)]
    for archive_id in ids:
        stage.files.kept[f"archives/{archive_id}/upload.zip"] = content
    begun = until_inside(stage, ids[0])
    work(stage, archives.start_import(ids[1]))
    standing = archives.get(ids[1])
    assert (standing.state, standing.outcome and standing.outcome.problem) == (ArchiveState.FAILED, "archive.not_fresh")
    work(stage, begun)
    assert archives.get(ids[0]).state is ArchiveState.DONE


def changed(content: bytes, change: Callable[[str, bytes], bytes | None]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            told = change(name, source.read(name))
            if told is not None:
                target.writestr(name, told)
    return out.getvalue()


def broken(content: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "no zip": b"x" * 5000,
        "cut": content[: len(content) // 2],
        "without manifest": changed(content, lambda name, told: None if name == "manifest.json" else told),
        "without a part": changed(content, lambda name, told: None if name.startswith("core/001") else told),
        "another byte": changed(content, lambda name, told: told[:-1] + b"x" if name.startswith("core/") else told),
        "no json": changed(content, lambda name, told: b"{" if name == "manifest.json" else told),
        "no entries": changed(content, lambda name, told: b'{"format":"enishi-archive/1","made_at":"2026-12-01T00:00:00Z","entries":[]}' if name == "manifest.json" else told),
        "other format": changed(content, lambda name, told: told.replace(b"archive/1", b"archive/9") if name == "manifest.json" else told),
    }  # fmt: skip


def test_a_broken_file_is_refused_before_anything_is_written(stage: Stage) -> None:
    stage.customer("M1")
    content = export(stage)
    wipe(stage)
    for what, given in broken(content).items():
        standing = take_in(stage, given)
        code = "archive.other_format" if what == "other format" else "archive.malformed"
        assert standing.outcome and standing.outcome.problem == code, what
        assert not any(everything(stage).values()), what
    assert take_in(stage, content).state is ArchiveState.DONE


def test_a_file_cannot_bring_keys_in(stage: Stage, archives: Archives) -> None:
    packed = gzip.compress(b'{"Item":{"pk":{"S":"KEY"},"sk":{"S":"enk_x"}}}\n{"Item":{"pk":{"S":"TAG"},"sk":{"S":"tag_x"}}}\n')
    entry = {"name": "config/000.jsonl.gz", "table": "config", "count": 2, "sha256": hashlib.sha256(packed).hexdigest()}
    manifest = {"format": "enishi-archive/1", "made_at": "2026-12-01T00:00:00Z", "entries": [entry]}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr(entry["name"], packed)
        made.writestr("manifest.json", json.dumps(manifest))
    wipe(stage)
    take_in(stage, out.getvalue())
    found = list(stage.world.database.scan(names(stage)["config"], segment=0, segments=1))
    assert sorted(item["pk"] for item in found) == ["KEY", "TAG"] and "enk_x" not in [item["sk"] for item in found]


def test_a_crash_at_any_call_is_healed_by_doing_the_step_again(stage: Stage, archives: Archives) -> None:
    fill(stage)
    before, content = everything(stage), export(stage)
    wipe(stage)
    archive_id, _ = archives.order_import("enk")
    stage.files.kept[f"archives/{archive_id}/upload.zip"] = content
    steps, real, count = archives.start_import(archive_id), stage.world.database.put_many, 0

    def dies(table: str, items: Any) -> None:
        nonlocal count
        count += 1
        real(table, list(items)[: 3 if count % 2 else None])
        if count % 2:
            raise TemporaryError("dies")

    stage.world.database.put_many = dies  # type: ignore[method-assign]
    while steps:
        step = steps.pop(0)
        try:
            steps += archives.do(step)
        except TemporaryError:
            steps.append(step)
    stage.world.database.put_many = real  # type: ignore[method-assign]
    assert everything(stage) == before


def test_what_is_no_archive_is_unknown(archives: Archives) -> None:
    for archive_id in ("x", "arc_" + "0" * 26):
        with pytest.raises(NotFoundError):
            archives.get(archive_id)
    made, _ = archives.order("enk")
    with pytest.raises(InvalidError, match="no_file"):
        archives.start_import(made)
    asked, _ = archives.order_import("enk")
    with pytest.raises(InvalidError, match="no_file"):
        archives.start_import(asked)


def test_what_never_ends_is_said_to_have_failed(stage: Stage, archives: Archives) -> None:
    made, steps = archives.order("enk")
    archives.do(steps[0])
    assert archives.get(made).state is ArchiveState.RUNNING
    stage.clock.advance(hours=13)
    standing = archives.get(made)
    assert (standing.state, standing.outcome and standing.outcome.problem) == (ArchiveState.FAILED, "archive.gave_up")
    assert [one.archive_id for one in archives.everyone()] == [made]
