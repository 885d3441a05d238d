"""The table of RFM out of the lake: the same cells as of the tables, by a company's own bounds."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from chalicelib.kernel.windows import local_date
from chalicelib.lake.audiences import Audiences
from chalicelib.lake.cubes import Cubes
from chalicelib.lake.questions import Questions
from chalicelib.lake.reader import Reader
from chalicelib.segments.expression import Expression
from chalicelib.segments.reading import parse
from chalicelib.segments.rfm import Bounds, frequency, recency, scored
from chalicelib.segments.scores import Scores
from tests.fakes.outside import FakeFiles
from tests.lake.base_files import FOLDED, put_lake

OWN = Bounds((3, 7, 10, 20), (6, 5, 4, 2), (400, 300, 200, 100))
TODAY = local_date(FOLDED)


class House:
    """As much of the segments as a table of the lake asks."""

    def read(self, condition: object) -> Expression:
        return scored(parse(condition), OWN)

    def bounds(self) -> Bounds:
        return OWN

    def prefers_the_lake(self) -> bool:
        return True


def test_the_lake_counts_everybody_into_his_cell(tmp_path: Path) -> None:
    files, house = FakeFiles(), House()
    rows: list[dict[str, Any]] = [
        {
            "cid": n,
            "known": True,
            "count": n % 8,
            "total_yen": 100 * n,
            "last_day": TODAY - timedelta(days=n % 25 - 1) if n % 8 else None,
        }
        for n in range(1, 200)
    ]
    put_lake(files, {"customer": rows})
    scores = Scores(house, house, Questions(Reader(files, tmp_path / "lake"), Audiences(files), Cubes(files)))  # type: ignore[arg-type]
    cells, as_of = scores.table(FOLDED)
    assert as_of == FOLDED
    expected: dict[tuple[int, int], list[int]] = {}
    for row in rows:
        last: date | None = row["last_day"]
        place = recency(last, TODAY, OWN), frequency(row["count"], OWN)
        if place[0] and place[1]:
            sums = expected.setdefault((place[0], place[1]), [0, 0])
            sums[0] += 1
            sums[1] += row["total_yen"]
    assert {(cell.recency, cell.frequency): [cell.count, cell.yen] for cell in cells if cell.count} == expected
    assert len(cells) == 25 and len(expected) > 15
