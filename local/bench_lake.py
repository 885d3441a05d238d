"""Section `lake` of `make bench`: what questions to a made-up lake cost (local/lake_data.py), each part in a process of its own.

`python -m local.bench_lake PART FOLDER …` measures one part and prints JSON; `report` starts them all and shows the figures.
"""

from __future__ import annotations

from local import nowhere  # noqa: F401 - first: storage.py reads the settings when it is imported

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import local_date
from chalicelib.segments.reading import parse
from chalicelib.segments.sql import compile_sql
from local.lake_data import NOW, Size, write_lake
from local.lake_store import FolderFiles

_CHANGES = 100_000
_SEGMENTS = 500
_BATCH = 10_000  # as many records as Lambda hands over at most

_RUNS = 5
_MAIN = AccountKey("main")
_FEMALE = {"field": "profile.gender", "is": "female"}
_WOMEN = {"all": [_FEMALE, {"field": "profile.age", "from": 30, "to": 39}, {"field": "profile.city", "is": "札幌市"}]}
_TAGS = {"all": [{"tag": "tag_001"}, {"not": {"tag": "tag_002"}}]}
_REACHABLE = {"field": "line.reachable", "is": True}
_BUYERS = {"purchase": {"product": "P007", "shop": "shop_03"}}
_DORMANT = {"all": [{"date": "activity.last", "before_days": 90}, _REACHABLE]}
_LAST = {"campaign": "cmp_12"}
SIMPLE: Mapping[str, Any] = {
    "女性30代札幌": _WOMEN,
    "a tag and not another": _TAGS,
    "no act for 90 days, reachable": _DORMANT,
    "bought a product at a shop": _BUYERS,
    "woman in her 20s who bought it there": {"all": [_FEMALE, {"field": "profile.age", "from": 20, "to": 29}, _BUYERS]},
}
COMPOUND: Mapping[str, Any] = {
    "was sent the last campaign, did not react": {"all": [{"received": _LAST}, {"not": {"reacted": _LAST}}, _REACHABLE]},
    "three clicks in 90 days": {"event": {"kind": "clicked", "within_days": 90, "count_from": 3}},
    "profile or tag, sum of orders, reacted to none of three": {
        "all": [
            {"any": [_WOMEN, {"tag": "tag_003"}, {"tag": "tag_005"}]},
            {"purchase": {"within_days": 365, "count_from": 2, "total_from": 15_000}},
            {"not": {"any": [{"reacted": {"campaign": f"cmp_{n}"}} for n in (10, 11, 12)]}},
            _REACHABLE,
        ]
    },
}
# An audience of about four in ten, as large sends are.
_AUDIENCE = {"all": [{"date": "activity.last", "within_days": 60}, _REACHABLE]}


def megabytes() -> int:
    """Return the most memory that this process has had (proc(5) VmHWM; getrusage hands down what its parent had)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def best(work: Callable[[], Any], runs: int = _RUNS) -> float:
    """Return the least seconds of some runs, as timeit advises: a neighbour on the machine only ever adds."""
    seconds = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def wired(tree: Any, account: AccountKey | None = None) -> dict[str, Any]:
    """Return a condition as the lake's function is asked it."""
    from chalicelib.ports.analyst import to_wire

    query = compile_sql(parse(tree), NOW, account)
    return to_wire(query.text, query.parameters)


def questions(files: Any, folder: Path) -> Any:
    """Return the product's own answers to questions."""
    from chalicelib.lake.audiences import Audiences
    from chalicelib.lake.cubes import Cubes
    from chalicelib.lake.questions import Questions
    from chalicelib.lake.reader import Reader

    return Questions(Reader(files, folder), Audiences(files), Cubes(files))


# Parts ----------------------------------------------------------------------------------------------------------------------


def make(folder: Path, customers: int) -> dict[str, Any]:
    """Write a lake."""
    started = time.perf_counter()
    manifest = write_lake(Size(customers), folder)
    sizes = {table: sum((folder / key).stat().st_size for key in keys) for table, keys in manifest.base.items()}
    return {"seconds": time.perf_counter() - started, "bytes": sizes}


def ask(folder: Path) -> dict[str, Any]:
    """Count warm, then write an audience down."""
    with tempfile.TemporaryDirectory(dir=folder) as copies:
        files = FolderFiles(folder)
        asked = questions(files, Path(copies))
        found: dict[str, Any] = {"counts": {}, "seconds": {}}
        for name, tree in {**SIMPLE, **COMPOUND}.items():
            question = {"op": "count", "query": wired(tree)}
            found["counts"][name] = asked.ask(question)["count"]
            found["seconds"][name] = best(lambda question=question: asked.ask(question))  # type: ignore[misc]
        numbers = iter(range(100))

        def audience() -> None:
            about = {"condition": _AUDIENCE}
            question = {"op": "audience", "audience_id": f"aud_{next(numbers)}", "query": wired(_AUDIENCE), "about": about}
            found["audience"] = asked.ask(question)["count"]

        found["audience_seconds"] = best(audience, 3)
    return {**found, "peak_mb": megabytes()}


def cubes(folder: Path) -> dict[str, Any]:
    """Add up what happened on every day, as a night does."""
    from chalicelib.lake.cubes import CUBE_FILES, CUBES

    today = local_date(NOW)
    rows, steps = 0, 0
    with tempfile.TemporaryDirectory(dir=folder) as copies:
        asked = questions(FolderFiles(folder), Path(copies))
        started, cpu = time.perf_counter(), time.process_time()
        for cube in CUBES:
            month: str | None = (today - timedelta(days=1)).isoformat()
            while month:
                answer = asked.ask({"op": "cube", "cube": cube, "month": month, "until": today.isoformat()})
                rows, steps, month = rows + answer["rows"], steps + 1, answer["next"]
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    size = sum(path.stat().st_size for path in (folder / CUBE_FILES).rglob("*.json"))
    return {"seconds": seconds, "cpu": cpu, "rows": rows, "steps": steps, "bytes": size, "peak_mb": megabytes()}


def cold(folder: Path, address: str, name: str, began: float) -> dict[str, Any]:
    """Answer one question as a new function does: nothing is imported and nothing is copied yet, S3 is away as usual."""
    os.environ.update(
        AWS_ENDPOINT_URL=address, AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", AWS_DEFAULT_REGION="ap-northeast-1"
    )
    question = {"op": "count", "query": wired({**SIMPLE, **COMPOUND}[name])}
    ready = time.time() - began
    from chalicelib.adapters.files import S3Files

    with tempfile.TemporaryDirectory(dir=folder) as copies:
        asked = questions(S3Files("bucket"), Path(copies))
        asked.ask(question)
        seconds = time.time() - began
        fetched = sum(path.stat().st_size for path in Path(copies).glob("*") if path.is_file())
    return {"seconds": seconds, "ready": ready, "bytes": fetched}


def one_person() -> dict[str, Any]:
    """Say of one person which of five hundred segments he belongs to; their conditions have been compiled before."""
    from chalicelib.segments.predicate import compile_predicate
    from local.lake_person import PERSON

    trees = list({**SIMPLE, **COMPOUND}.values())
    segments = [compile_predicate(parse(trees[place % len(trees)]), NOW) for place in range(_SEGMENTS)]
    seconds = []
    for _ in range(50):
        started = time.process_time()
        sum(holds(PERSON) for holds in segments)
        seconds.append(time.process_time() - started)
    return {"seconds": min(seconds)}


def feed(folder: Path, customers: int) -> dict[str, Any]:
    """Turn a hundred thousand records of the streams into delta files, in batches as Lambda brings them."""
    from chalicelib.lake.feed import Feeder
    from local.lake_changes import records

    given = list(records(_CHANGES, customers))
    feeder = Feeder(FolderFiles(folder), Nobody(), {name: name for name in ("core", "timeline", "engine")})
    started, cpu = time.perf_counter(), time.process_time()
    files = sum(feeder.feed(given[place : place + _BATCH]) for place in range(0, len(given), _BATCH))
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu, "files": files, "peak_mb": megabytes()}


def fold(folder: Path) -> dict[str, Any]:
    """Fold what `feed` has left, as a function does that has folded before: the files of the lake are there already."""
    from chalicelib.lake import folding, manifest
    from chalicelib.lake.parts import Parts

    files = FolderFiles(folder)
    with tempfile.TemporaryDirectory(dir=folder) as copies:
        warm = Parts(files, Path(copies), NOW)
        warm.fetch(manifest.load(files)[0].files())
        warm.close()
        started, cpu = time.perf_counter(), time.process_time()
        found = folding.fold(files, Path(copies), NOW)
        return {
            "seconds": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
            "changes": found.changes,
            "peak_mb": megabytes(),
        }


def harness(folder: Path) -> dict[str, Any]:
    """Ask the same of SQLite and of the lake, in one process; both must count the same people."""
    import sqlite3

    from local import bench_harness

    bench_harness.write_database(folder, folder / "harness.db")
    found: dict[str, Any] = {}
    with sqlite3.connect(folder / "harness.db") as kept, tempfile.TemporaryDirectory(dir=folder) as copies:
        asked = questions(FolderFiles(folder), Path(copies))
        for name in bench_harness.QUESTIONS:
            question = {"op": "count", "query": wired(bench_harness.tree_of(name))}
            people = asked.ask(question)["count"]
            if people != bench_harness.count(kept, name):
                raise AssertionError(name)
            theirs = best(lambda name=name: bench_harness.count(kept, name), 2)  # type: ignore[misc]
            ours = best(lambda question=question: asked.ask(question))  # type: ignore[misc]
            found[name] = {"people": people, "theirs": theirs, "ours": ours}
    return found


class Nobody:
    """A queue that must stay empty: every record can be read."""

    def put(self, body: str, attributes: Mapping[str, str], delay_seconds: int = 0) -> None:
        """Refuse a letter."""
        raise AssertionError(body)

    def depth(self) -> int:
        """Return how many letters wait."""
        return 0


PARTS: Mapping[str, tuple[Callable[..., dict[str, Any]], tuple[Callable[[str], Any], ...]]] = {
    "make": (make, (Path, int)),
    "ask": (ask, (Path,)),
    "cubes": (cubes, (Path,)),
    "cold": (cold, (Path, str, str, float)),
    "one_person": (one_person, ()),
    "feed": (feed, (Path, int)),
    "fold": (fold, (Path,)),
    "harness": (harness, (Path,)),
}


def run(part: str, *arguments: Any) -> dict[str, Any]:
    """Return the figures of a part, measured in a new process."""
    command = [sys.executable, "-m", "local.bench_lake", part, *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)  # noqa: S603
    return found


def report(show: Callable[..., None], customers: int) -> None:
    """Make a lake in a folder that is deleted afterwards; measure and show every part."""
    folder = Path(tempfile.mkdtemp(prefix="enishi-lake-"))
    try:
        _report(show, folder, customers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _report(show: Callable[..., None], folder: Path, customers: int) -> None:
    made = run("make", folder, customers)
    total = sum(made["bytes"].values()) / 1e6
    show(f"lake: {customers:,} customers made up by a seed", f"{made['seconds']:.0f} s", f"{total:,.0f} MB of Parquet")
    asked = run("ask", folder)
    for trees, most in ((SIMPLE, 60), (COMPOUND, 600)):
        for name in trees:
            took = f"{asked['seconds'][name] * 1000:,.0f} ms"
            show(f"  count, warm: {name}", took, f"≤ {most} ms; {asked['counts'][name]:,} people")
    show(f"  audience of {asked['audience']:,} people, exact and kept", f"{asked['audience_seconds']:.2f} s", "≤ 1 s for 400,000")
    show("  memory of the process that answers, at its peak", f"{asked['peak_mb']:,} MB", "≤ 700 MB")
    added = run("cubes", folder)
    show(f"  every day added up, in {added['steps']} steps", f"{added['seconds']:.1f} s", f"{added['cpu']:.1f} CPU s")
    show("    what it makes", f"{added['rows']:,} rows", f"{added['bytes'] / 1e6:.1f} MB")
    show("    memory of the process that adds up, at its peak", f"{added['peak_mb']:,} MB", "≤ 700 MB")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-m", "local.lake_store", str(folder), str(port)]) as server:  # noqa: S603
        try:
            time.sleep(1)
            for name in ("女性30代札幌", "a tag and not another"):
                runs = [run("cold", folder, f"http://127.0.0.1:{port}", name, time.time()) for _ in range(3)]
                found = min(runs, key=lambda one: one["seconds"])
                show(f"  count, cold: {name}", f"{found['seconds']:.2f} s", "≤ 1.5 s, start of Python to answer")
                show("    copied from S3 for it", f"{found['bytes'] / 1e6:,.1f} MB", "30 ms to the first byte, 75 MB/s")
        finally:
            server.terminate()

    show(f"  one customer against {_SEGMENTS} segments, own CPU", f"{run('one_person')['seconds'] * 1000:.2f} ms", "≤ 1 ms")
    for name, one in run("harness", folder).items():
        took = f"{one['theirs'] / one['ours']:,.0f} times faster"
        show(f"  than SQLite as LINE Harness asks it: {name}", took, f"≥ 20; {one['theirs']:.2f} s, {one['people']:,} people")
    fed = run("feed", folder, customers)
    show(
        f"  {_CHANGES:,} records of streams to delta files", f"{fed['cpu']:.1f} CPU s", f"≤ 5 s; {fed['peak_mb']:,} MB at its peak"
    )
    folded = run("fold", folder)
    show(f"  {folded['changes']:,} changes folded into the lake", f"{folded['seconds']:.1f} s", f"≤ 5 s; {folded['cpu']:.1f} CPU s")
    show("    memory of the process that folds, at its peak", f"{folded['peak_mb']:,} MB", "≤ 700 MB")


if __name__ == "__main__":
    measure, kinds = PARTS[sys.argv[1]]
    print(json.dumps(measure(*(kind(text) for kind, text in zip(kinds, sys.argv[2:], strict=True)))))
