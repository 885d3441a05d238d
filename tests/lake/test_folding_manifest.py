"""The one file that says what the lake is."""

from __future__ import annotations

from datetime import UTC, datetime

from chalicelib.kernel.ids import Cid
from chalicelib.lake.manifest import Manifest, from_json, load, new_name, replace, to_json, written_at
from tests.fakes.outside import FakeFiles

NOON = datetime(2026, 11, 22, 12, 0, 1, 234000, tzinfo=UTC)


def test_it_reads_what_it_writes() -> None:
    manifest = Manifest({"tag": ("a",)}, {"tags": ("b",)}, {"a": 1}, 7, NOON, {"core#1": NOON}, NOON, (Cid(3),), 1, {"c": NOON})
    assert from_json(to_json(manifest)) == manifest


def test_of_two_who_read_the_same_one_the_first_alone_replaces_it() -> None:
    files = FakeFiles()
    _, tag = load(files)
    assert replace(files, Manifest(generation=1), tag)
    assert not replace(files, Manifest(generation=1, erased=(Cid(1),)), tag)
    assert load(files)[0] == Manifest(generation=1)


def test_a_name_is_never_given_twice_and_tells_when_its_file_was_begun() -> None:
    names = {new_name("lake/base/tag", 7, NOON) for _ in range(100)}
    assert len(names) == 100
    assert {written_at(name) for name in names} == {NOON.replace(microsecond=0)}
    assert written_at("lake/base/tag/other.parquet") is None
