"""Whatever streams, crashes and a second folding do, the lake ends equal to the tables."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from chalicelib.kernel.errors import TemporaryError
from chalicelib.lake import derive
from chalicelib.lake.folding import fold, tidy
from chalicelib.lake.manifest import GRACE, MANIFEST, load, to_json
from tests.fakes.outside import FakeFiles
from tests.lake.lives import START, Life, put_deltas, read_lake
from tests.lake.naive_lake import tables_of


class DiedError(Exception):
    """The function was killed."""


class Trouble(FakeFiles):
    """A store at whose n-th call something happens: the caller dies, or somebody else folds in between."""

    def __init__(self, store: FakeFiles, at: int, happen: Callable[[], None]) -> None:
        self.kept = store.kept
        self._left, self._happen = at, happen

    def _call(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._happen()

    def list(self, prefix: str) -> list[str]:
        self._call()
        return super().list(prefix)

    def fetch(self, key: str, path: Path) -> bool:
        self._call()
        return super().fetch(key, path)

    def send(self, path: Path, key: str, content_type: str) -> None:
        self._call()
        super().send(path, key, content_type)

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        self._call()
        return super().get_tagged(key)

    def put_if(self, key: str, content: bytes, content_type: str, tag: str) -> str | None:
        self._call()  # died before
        done = super().put_if(key, content, content_type, tag)
        self._call()  # died after
        return done

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self._call()
            super().delete([key])


def die() -> None:
    raise DiedError


def fold_all(files: FakeFiles, folder: Path, life: Life) -> None:
    while files.list("lake/delta/"):
        fold(files, folder, life.now)


def deliver(life: Life, dice: random.Random) -> list[list[int]]:
    """Return batches of records by number: in any order, some of them again, none forgotten."""
    numbers = list(range(len(life.records)))
    for _ in range(len(numbers) // 3):
        numbers.append(dice.choice(numbers))
    dice.shuffle(numbers)
    batches = []
    while numbers:
        size = dice.randint(1, 12)
        batches.append(numbers[:size])
        numbers = numbers[size:]
    return batches


@pytest.mark.parametrize("seed", range(5))
def test_records_in_any_order_and_twice_deaths_and_two_foldings_at_once(seed: int, tmp_path: Path) -> None:
    life, store, dice = Life(seed), FakeFiles(), random.Random(seed)
    for _ in range(45):
        life.step()

    def other() -> None:
        # The other one may die too.
        try:
            fold(Trouble(store, dice.randint(1, 60), die), tmp_path / "other", life.now)
        except DiedError:
            return

    for batch in deliver(life, dice):
        put_deltas(store, tmp_path, [life.records[number] for number in batch])
        if dice.random() < 0.4:
            life.now += timedelta(minutes=1)
            happen = dice.choice((die, other, lambda: None))
            try:
                fold(Trouble(store, dice.randint(1, 60), happen), tmp_path / "first", life.now)
            except (DiedError, TemporaryError):
                pass
    fold_all(store, tmp_path / "last", life)
    assert read_lake(store, tmp_path / "read") == tables_of(life.items)
    life.now += 3 * GRACE
    tidy(store, life.now)
    assert read_lake(store, tmp_path / "read") == tables_of(life.items)
    assert set(store.kept) == {"lake/manifest.json"} | load(store)[0].files()


def test_every_call_of_a_folding_may_be_its_last(tmp_path: Path) -> None:
    life, store = Life(7), FakeFiles()
    for _ in range(40):
        life.step()
    put_deltas(store, tmp_path, life.records)
    fold_all(store, tmp_path / "work", life)
    for call in [*range(1, 60, 6), 200]:
        life.now += timedelta(minutes=1)
        begun = len(life.records)
        for _ in range(3):
            life.step()
        put_deltas(store, tmp_path, life.records[begun:])
        trouble = Trouble(store, call, die)
        try:
            fold(trouble, tmp_path / "work", life.now)
        except DiedError:
            read_lake(store, tmp_path / "read")  # whole, at whichever generation
            fold_all(store, tmp_path / "work", life)
        assert read_lake(store, tmp_path / "read") == tables_of(life.items)
    assert call == 200  # which no folding makes: it ended by itself, and so did none of those before it


def test_the_same_again_changes_nothing(tmp_path: Path) -> None:
    life, store = Life(11), FakeFiles()
    for _ in range(50):
        life.step()
    put_deltas(store, tmp_path, life.records)
    fold(store, tmp_path / "work", life.now)
    before = read_lake(store, tmp_path / "read")
    put_deltas(store, tmp_path, life.records[10:30])
    fold(store, tmp_path / "work", life.now)
    assert read_lake(store, tmp_path / "read") == before == tables_of(life.items)


def test_a_loser_leaves_nothing_behind_and_his_deltas_stay(tmp_path: Path) -> None:
    life, store = Life(3), FakeFiles()
    for _ in range(30):
        life.step()
    put_deltas(store, tmp_path, life.records)
    deltas = store.list("lake/delta/")
    winner = FakeFiles(dict(store.kept))
    fold(winner, tmp_path / "winner", life.now)

    def other() -> None:
        store.kept.update({key: content for key, content in winner.kept.items() if not key.startswith("lake/delta/")})

    calls = 2 + 1 + len(deltas)  # the lists, the manifest, the deltas; then the first file is sent
    lost = fold(Trouble(store, calls + 1, other), tmp_path / "loser", life.now)
    assert lost.is_lost
    assert store.list("lake/delta/") == deltas
    assert set(store.kept) == set(winner.kept) | set(deltas)


def test_former_files_stay_as_long_as_a_reader_may_need_them(tmp_path: Path) -> None:
    life, store = Life(5), FakeFiles()
    for _ in range(2):
        for _ in range(40):
            life.step()
        put_deltas(store, tmp_path, life.records)
        fold(store, tmp_path / "work", life.now)
    forgotten = set(load(store)[0].forgotten)
    assert forgotten
    assert tidy(store, life.now + GRACE - timedelta(seconds=1)) == 0
    assert forgotten <= set(store.kept)
    tidy(store, life.now + GRACE)
    assert forgotten.isdisjoint(store.kept)
    assert not load(store)[0].forgotten


def test_a_new_order_writes_little_of_what_was_bought_before(tmp_path: Path) -> None:
    """His last order is the last no more, which is one row; whatever was no last one stays as it lies."""
    store = FakeFiles()

    def buy(numbers: Iterable[int]) -> None:
        records = [
            ("purchase", {"cid": 1, "order_no": f"{n:02}", "at_instant": datetime(2026, 9, n), "amount_yen": 10,
                          "v": f"{n:040}", "at": datetime(2026, 9, n), "gone": False})
            for n in numbers
        ]  # fmt: skip
        put_deltas(store, tmp_path, records)
        fold(store, tmp_path / "work", START)

    def folders() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {"former": set(), "last": set()}
        for key in load(store)[0].base["purchase"]:
            found[key.split("/")[3]].add(key)
        return found

    buy(range(1, 21))
    before = folders()
    buy([21])
    after = folders()
    assert len(before["former"]) == 1 and before["former"] < after["former"]
    assert len(after["last"]) == 1 and before["last"] != after["last"]
    assert {row[1]: row[-1] for row in read_lake(store, tmp_path / "read")["purchase"]} == {
        f"{n:02}": n == 21 for n in range(1, 22)
    }


def test_a_lake_whose_files_were_written_without_a_column_and_in_one_folder_goes_on(tmp_path: Path) -> None:
    life, store = Life(13), FakeFiles()
    for _ in range(60):
        life.step()
    put_deltas(store, tmp_path, life.records)
    fold(store, tmp_path / "work", life.now)
    manifest, _ = load(store)
    renamed = {key: key.replace("/former/", "/").replace("/last/", "/") for key in manifest.base["purchase"]}
    for former, key in {**renamed, **{key: key for keys in manifest.mirror.values() for key in keys}}.items():
        path, plain = tmp_path / "old", tmp_path / "plain"
        assert store.fetch(former, path)
        columns = [row[0] for row in duckdb.sql(f"DESCRIBE FROM read_parquet('{path}')").fetchall()]
        kept = ", ".join(f'"{name}"' for name in columns if name != "expires_at")
        duckdb.sql(f"COPY (SELECT {kept} FROM read_parquet('{path}')) TO '{plain}' (FORMAT parquet)")
        store.send(plain, key, "")
    base = {**manifest.base, "purchase": tuple(renamed.values())}
    rows = {renamed.get(key, key): number for key, number in manifest.rows.items()}
    store.put(MANIFEST, to_json(replace(manifest, base=base, rows=rows)), "")
    begun = len(life.records)
    for _ in range(30):
        life.step()
    put_deltas(store, tmp_path, life.records[begun:])
    fold(store, tmp_path / "other", life.now)
    assert read_lake(store, tmp_path / "read") == tables_of(life.items)


def test_an_answer_that_got_lost_does_not_make_a_winner_a_loser(tmp_path: Path) -> None:
    """The call below us is repeated when its answer is lost, and is refused then because it has taken place."""
    life = Life(9)
    for _ in range(30):
        life.step()

    class Repeats(FakeFiles):
        def put_if(self, key: str, content: bytes, content_type: str, tag: str) -> str | None:
            super().put_if(key, content, content_type, tag)
            return None

    store = Repeats()
    put_deltas(store, tmp_path, life.records)
    assert not fold(store, tmp_path / "work", life.now).is_lost
    assert read_lake(store, tmp_path / "read") == tables_of(life.items)


@pytest.mark.parametrize(
    ("table", "right", "wrong"),
    [
        ("customer", "cid = living", "TRUE"),
        ("customer", "NOT coalesce(out_email, false)", "TRUE"),
        ("customer", "email_refused.print IS NULL", "TRUE"),
        ("friend", "INTERVAL 9 HOUR", "INTERVAL 8 HOUR"),
        ("purchase", "order_no DESC", "order_no"),
        ("reaction", "max", "min"),
    ],
)
def test_a_wrong_query_is_found_out(table: str, right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = derive.DERIVED[table]
    assert right in sound.sql
    broken = {**derive.DERIVED, table: derive.Derived(sound.of, sound.sql.replace(right, wrong))}
    monkeypatch.setattr("chalicelib.lake.folding.DERIVED", broken)
    for seed in range(12):
        life, store = Life(seed), FakeFiles()
        for _ in range(80):
            life.step()
        put_deltas(store, tmp_path, life.records)
        fold(store, tmp_path / str(seed), life.now)
        try:
            found = read_lake(store, tmp_path / f"read{seed}")
        except AssertionError:
            return
        if found != tables_of(life.items):
            return
    pytest.fail("twelve lives did not show it")
