"""A lake of made-up people, as large as wanted, with everything that a lake keeps as files; the same for the same seed.

Everything is a function of a number and the seed (DuckDB's `hash`), so nothing is kept in Python, a month of events is made at a
time, and what does not spill is made of a million people at a time: ten millions take no more memory than one does. What tables tell twice agrees: purchases and their sums, acts and the day of the last one, friendships and who can be reached.
Skewed as companies are: prefectures as they are peopled, few shops and products sell most, few people do most, half are silent.
"""

from __future__ import annotations

import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from chalicelib.lake.deltas import columns_of
from chalicelib.lake.derive import columns_of_table
from chalicelib.lake.manifest import BASE_FILES, MANIFEST, MIRROR_FILES, Manifest, to_json
from chalicelib.lake.model import BASE, Columns
from local.lake_mirror import KINDS, mirror
from local.lake_places import CAPITALS, GIVEN, SURNAMES

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)  # noon in Japan
_TODAY = "DATE '2026-11-22'"
MONTHS = 13  # as long as the timeline keeps what people did
TAGS, SHOPS, PRODUCTS, CATEGORIES, LINKS, CAMPAIGNS = 200, 80, 500, 20, 60, 13
_BLOCK = 1_000_000  # people whose items are made at once
SCENARIOS = ("dormant90", "onboarding", "first_purchase")


@dataclass(frozen=True, slots=True)
class Size:
    """How much to make. orders_each, events_each: of a customer, on average."""

    customers: int = 1_000_000
    orders_each: float = 3.0
    events_each: float = 20.0
    seed: int = 1


def write_lake(size: Size, folder: Path) -> Manifest:
    """Write a whole lake below `folder`, a bucket's place; return its manifest. What is larger than memory spills into the folder."""
    import duckdb

    with tempfile.TemporaryDirectory(dir=folder) as spill, duckdb.connect(config={"temp_directory": spill}) as connection:
        # Lists of an order's lines and of a person's fields do not spill: two gigabytes are too few for _BLOCK people.
        connection.execute("SET memory_limit = '6GB'")
        connection.execute("SET preserve_insertion_order = false")
        maker = _Maker(connection, size, folder)
        for table, name, query in maker.queries():
            maker.write(maker.base[table], f"{BASE_FILES}{table}{name}", columns_of_table(table), BASE[table].order, query)
        for kind in KINDS:
            blocks = [Path(spill) / f"{kind}{first}" for first in range(1, size.customers + 1, _BLOCK)]
            for number, block in enumerate(blocks):
                maker.copy(block, columns_of(kind), ("cid",), maker.mirrored(kind, number * _BLOCK + 1))
            maker.write(
                maker.mirror[kind], f"{MIRROR_FILES}{kind}", columns_of(kind), (), f"FROM read_parquet({list(map(str, blocks))!r})"
            )
            for block in blocks:
                block.unlink()
    base, mirrored = ({name: tuple(keys) for name, keys in of.items()} for of in (maker.base, maker.mirror))
    manifest = Manifest(base=base, mirror=mirrored, rows=maker.rows, generation=1, folded_at=NOW)
    (folder / MANIFEST).write_bytes(to_json(manifest))
    return manifest


def _months() -> list[tuple[int, date]]:
    """Return every month of acts: how many months ago it was, and its first day."""
    return [(ago, date(2026 - (ago + 1) // 12, 12 - (ago + 1) % 12, 1)) for ago in range(MONTHS)]


def _u(number: str, salt: str) -> str:
    """Return SQL of a number in [0, 1) that depends on an integer and the salt alone.

    Not `hash(a, b)`: DuckDB mixes several arguments so that two salts would give numbers that know of each other.
    """
    return f"((hash(({number}) * 1048576 + {zlib.crc32(salt.encode()) % 1_048_576}) >> 11) / 9007199254740992.0)"


def _one_of(number: str, salt: str, values: list[str]) -> str:
    return f"({values!r})[1 + floor({_u(number, salt)} * {len(values)})::INTEGER]"


def _zipf(number: str, salt: str, most: int) -> str:
    """Return SQL of a number from 1 to `most`, the smaller the likelier: 1 is ln 2 / ln most."""
    return f"floor(pow({most}, {_u(number, salt)}))::INTEGER"


class _Maker:
    def __init__(self, connection: Any, size: Size, folder: Path) -> None:
        self._sql = connection
        self._size = size
        self._folder = folder
        self.base: dict[str, list[str]] = defaultdict(list)
        self.mirror: dict[str, list[str]] = defaultdict(list)
        self.rows: dict[str, int] = {}
        self._sql.execute(f"CREATE OR REPLACE VIEW person AS {self._person()}")

    def _u(self, number: str, salt: str) -> str:
        return _u(number, f"{self._size.seed}|{salt}")

    def write(self, keys: list[str], folder: str, columns: Columns, order: Sequence[str], query: str) -> None:
        """Write the rows of a query as a file below a folder; note its key among `keys`."""
        key = f"{folder}/made.parquet"
        path = self._folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows[key] = self.copy(path, columns, order, query)
        keys.append(key)

    def copy(self, path: Path, columns: Columns, order: Sequence[str], query: str) -> int:
        """Write the rows of a query as a file; return how many."""
        typed = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in columns.items())
        ordered = f"ORDER BY {', '.join(order)}" if order else ""
        rows = self._sql.execute(
            f"COPY (SELECT {typed} FROM ({query}) {ordered}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchone()
        return int(rows[0])

    def read(self, table: str) -> str:
        """Return SQL that reads what was written of a table."""
        return f"read_parquet({[str(self._folder / key) for key in self.base[table]]!r})"

    def queries(self) -> Iterator[tuple[str, str, str]]:
        """Yield (table, folder below it, SQL of its rows); each is to be written before the next is asked for, which may read it."""
        yield "friend", "", self._friends()
        yield "tag", "", self._tags()
        yield "attribute", "", self._attributes()
        for name, which in (("former", "NOT is_last"), ("last", "is_last")):
            yield "purchase", f"/{name}", f"SELECT * FROM ({self._purchases()}) WHERE {which}"
        for ago, first in _months():
            yield "event", f"/{first:%Y-%m}", self._events(ago, first)
        yield "enrollment", "", self._enrollments()
        yield "received", "", self._received()
        self._sql.execute(f"CREATE TEMP TABLE reacted AS {self._reactions()}")
        for _, first in _months():
            yield "reaction", f"/{first:%Y-%m}", f"FROM reacted WHERE date_trunc('month', \"at\") = DATE '{first}'"
        yield "identity", "", self._identities()
        yield "customer", "", self._customers()

    def mirrored(self, kind: str, first: int) -> str:
        """Return SQL of the items of a kind, of _BLOCK people: from these the tables follow, and folding keeps them."""
        query = mirror(lambda table: f"(FROM {self.read(table)} WHERE cid BETWEEN {first} AND {first + _BLOCK - 1})")[kind]
        return f"SELECT *, '' AS v, TIMESTAMP '2026-11-12 00:00:00' AS \"at\", false AS gone FROM ({query})"

    def _person(self) -> str:
        u = self._u
        towns = [f"{place}|{town}" for place, shares in CAPITALS.items() for town, share in shares for _ in range(share)]
        ages = (
            f"(CASE WHEN {u('cid', 'young')} < 0.1 THEN 15 + 10 * {u('cid', 'age')} ELSE 22 + 55 * pow({u('cid', 'age')}, 1.4) END)"
        )
        return f"""
        SELECT cid, string_split({_one_of("cid", f"{self._size.seed}|town", towns)}, '|') AS town,
            {u("cid", "known")} < 0.8 AS known,
            CASE WHEN {u("cid", "gender")} < 0.58 THEN 'female' WHEN {u("cid", "gender")} < 0.92 THEN 'male' END AS gender,
            CASE WHEN {u("cid", "birthday")} < 0.85 THEN {_TODAY} - floor(365.25 * {ages})::INTEGER END AS birthday,
            {u("cid", "email")} < 0.6 AS has_email, {u("cid", "phone")} < 0.5 AS has_phone, {u("cid", "address")} < 0.35 AS has_address,
            -ln(1 - {u("cid", "lively")}) AS lively,
            CASE WHEN {u("cid", "silent")} < 0.55 THEN 0 ELSE 1 + floor({MONTHS} * {u("cid", "since")})::INTEGER END AS silent_months,
            30 + floor(1400 * pow({u("cid", "came")}, 1.3))::INTEGER AS came_days
        FROM (SELECT range AS cid FROM range(1, {self._size.customers + 1}))"""

    def _friends(self) -> str:
        u = self._u
        return f"""
        SELECT account, cid, printf('U%016x%016x', hash(cid * 2 + n), hash(cid * 2 + n + 7)) AS line_user_id,
            CASE WHEN {u("cid * 2 + n", "blocked")} < 0.18 THEN 'blocked' ELSE 'following' END AS state,
            state = 'following' AND {u("cid", "refused line")} >= 0.02 AS reachable,
            {_TODAY} - floor(came_days * {u("cid * 2 + n", "followed")})::INTEGER AS day,
            {_one_of("cid", "given", GIVEN)} AS display_name, 'ja' AS language
        FROM person, (VALUES ('main', 0, 0.9), ('outlet', 1, 0.25)) AS accounts(account, n, share)
        WHERE {u("cid * 2 + n", "friend")} < share"""

    def _tags(self) -> str:
        number = f"floor(10 * {self._u('cid', 'tags')})::INTEGER"
        rank = _zipf("cid * 16 + j", f"{self._size.seed}|tag", TAGS)
        return f"""
        SELECT printf('tag_%03d', unnest(list_distinct([{rank} FOR j IN range({number})]))) AS tag, cid FROM person"""

    def _attributes(self) -> str:
        u = self._u
        ranks = ["gold"] * 5 + ["silver"] * 15 + ["regular"] * 80
        return f"""
        SELECT 'rank' AS name, cid, {_one_of("cid", "rank", ranks)} AS text, NULL AS number, NULL AS flag, NULL AS day
        FROM person WHERE known
        UNION ALL
        SELECT 'points', cid, NULL, floor(20000 * pow({u("cid", "points")}, 4)), NULL, NULL FROM person WHERE known
        UNION ALL
        SELECT 'wedding', cid, strftime(d, '%Y-%m-%d'), NULL, NULL, d FROM
            (SELECT cid, {_TODAY} - floor(9000 * {u("cid", "wedding")})::INTEGER AS d FROM person WHERE {u("cid", "married")} < 0.2)"""

    def _purchases(self) -> str:
        # A geometric number of orders. They lie evenly between the first and the last, so that their order is known at once.
        u, mean = self._u, self._size.orders_each
        scale = f"1 / ln(1 + 1 / {mean})"
        rank = _zipf("(cid * 256 + j) * 4 + l", f"{self._size.seed}|product", PRODUCTS)
        lines = f"[{rank} FOR l IN range(1 + floor(pow(3, pow({u('cid * 256 + j', 'lines')}, 3)) - 0.3)::INTEGER)]"
        return f"""
        WITH buyer AS (
            SELECT cid, came_days, least(200, floor(-ln(1 - {u("cid", "orders")}) * {scale}))::INTEGER AS number,
                30 * silent_months + came_days * pow({u("cid", "last order")}, 2) AS last_days FROM person),
        ordered AS (
            SELECT cid, number, came_days + last_days AS first_days, last_days, unnest(range(number)) AS j FROM buyer WHERE number > 0),
        placed AS (
            SELECT cid, j, printf('O%09d-%03d', cid, j) AS order_no, j = 0 AS is_first, j = number - 1 AS is_last,
                TIMESTAMP '2026-11-22 02:00:00' - to_seconds(floor(86400 *
                    (last_days + (first_days - last_days) * (number - 1 - j) / greatest(number - 1, 1)))) AS moment,
                printf('shop_%02d', {_zipf("cid * 256 + j // 3", f"{self._size.seed}|shop", SHOPS)}) AS shop,
                1 + ({u("cid * 256 + j", "quantity")} > 0.9)::INTEGER AS quantity, {lines} AS ranks FROM ordered),
        priced AS (
            SELECT *, list_sum([{_PRICE} FOR p IN ranks]) * quantity AS amount_yen FROM placed)
        SELECT cid, order_no, line, (moment + INTERVAL 9 HOUR)::DATE AS day, moment AS "at", shop, amount_yen, printf('P%03d', p) AS product,
            printf('C%02d', p % {CATEGORIES}) AS category, quantity, quantity * {_PRICE} AS yen, is_first, is_last
        FROM (SELECT *, unnest(ranks) AS p, unnest(range(len(ranks))) AS line FROM priced)"""

    def _events(self, ago: int, month: date) -> str:
        """Return what people did in the month that is so many months ago, of which `month` is the first day."""
        u = self._u
        # 0.757 is the share of months in which nobody is silent, see `person`.
        rate = self._size.events_each / MONTHS / 0.757
        number = f"least(250, floor(lively * {rate} + {u(f'cid * 16 + {ago}', 'number')}))::INTEGER"
        n = f"((cid * 16 + {ago}) * 256 + j)"
        return f"""
        WITH act AS (
            SELECT cid, unnest(range({number})) AS j,
                TIMESTAMP '{month}' AS first, least(TIMESTAMP '{month}' + INTERVAL 1 MONTH, TIMESTAMP '2026-11-22 03:00:00') AS upto
            FROM person WHERE silent_months <= {ago}),
        done AS (
            SELECT cid, {_one_of(n, f"{self._size.seed}|kind", _KINDS)} AS kind,
                hash({n}) AS h, {_zipf(n, f"{self._size.seed}|which", LINKS)} AS which, {u(n, "evidence")} AS sure,
                first + to_microseconds(1000 * floor(epoch_ms(upto - first) * {u(n, "at")})::BIGINT) AS moment FROM act)
        SELECT cid, strftime(moment, 'EV#%Y-%m-%dT%H:%M:%S.%gZ#') || printf('%016x', h) AS id, kind, (moment + INTERVAL 9 HOUR)::DATE AS day, moment AS "at",
            CASE WHEN kind = 'survey_answered' THEN printf('survey_%d', which % 5) WHEN kind = 'custom' THEN printf('game_%d', which % 7)
                WHEN kind = 'visited' THEN printf('/page/%d', which) END AS name,
            CASE WHEN kind IN ('message', 'postback', 'video', 'followed') THEN 'main' END AS account,
            CASE WHEN kind NOT IN ('clicked', 'email_opened') THEN NULL
                WHEN which % 4 = 0 THEN 'scn|' || {list(SCENARIOS)!r}[1 + which // 4 % 3] || '|send_a'
                ELSE printf('cmp|cmp_%02d', {CAMPAIGNS - 1} - {ago}) END AS source,
            CASE WHEN kind = 'clicked' THEN printf('link_%03d', which) END AS link,
            CASE kind WHEN 'clicked' THEN CASE WHEN sure < 0.8 THEN 'B' ELSE 'C' END WHEN 'email_opened' THEN 'C' END AS evidence,
            CASE WHEN kind = 'survey_answered' THEN MAP {{'q1': ['yes', 'no', 'perhaps'][1 + which % 3], 'q2': (which % 5)::VARCHAR}}
                WHEN kind = 'reservation_made' THEN MAP {{'shop': printf('shop_%02d', which % {SHOPS})}} END AS data,
            NULL AS own, '' AS v, NULL AS seen_at, NULL AS expires_at
        FROM done"""

    def _enrollments(self) -> str:
        u = self._u
        return f"""
        SELECT cid, printf('ENR#%s##00001', scenario) AS id, scenario, 1 AS version,
            CASE WHEN fate < 0.2 THEN 'active' WHEN fate < 0.85 THEN 'done' ELSE 'exited' END AS status,
            CASE WHEN fate < 0.2 THEN NULL WHEN fate < 0.5 THEN 'reactivated' WHEN fate < 0.85 THEN 'fallback'
                WHEN fate < 0.93 THEN 'goal' ELSE 'blocked' END AS reason,
            TIMESTAMP '2026-11-21 01:00:00' - to_days(floor(365 * {u("cid * 4 + n", "entered")})::INTEGER) AS entered_at,
            CASE WHEN fate >= 0.2 THEN entered_at + INTERVAL 9 DAY END AS ended_at
        FROM (SELECT cid, n, {list(SCENARIOS)!r}[n] AS scenario, {u("cid * 4 + n", "fate")} AS fate
            FROM person, (SELECT unnest([1, 2, 3]) AS n) WHERE {u("cid * 4 + n", "enrolled")} < 0.2)"""

    def _received(self) -> str:
        return f"""
        SELECT 'cmp' AS kind, printf('cmp_%02d', n) AS id, '' AS node, cid,
            TIMESTAMP '2026-11-21 03:00:00' - to_days(({CAMPAIGNS} - n::INTEGER) * 30) AS "at"
        FROM person, (SELECT range AS n FROM range({CAMPAIGNS})) WHERE {self._u(f"cid * {CAMPAIGNS} + n", "recipient")} < 0.4
        UNION ALL
        SELECT 'scn', scenario, 'send_a', cid, entered_at FROM {self.read("enrollment")}"""

    def _reactions(self) -> str:
        return f"""
        SELECT split_part(source, '|', 1) AS kind, split_part(source, '|', 2) AS id, split_part(source, '|', 3) AS node, cid, link,
            evidence, "at"
        FROM (SELECT source, cid, coalesce(link, '') AS link, evidence, max("at") AS "at" FROM {self.read("event")}
            WHERE source IS NOT NULL GROUP BY ALL)"""

    def _identities(self) -> str:
        name = f"{_one_of('cid', 'surname', SURNAMES)} || ' ' || {_one_of('cid', 'given', GIVEN)}"
        return f"""
        SELECT cid, CASE WHEN known THEN printf('M%09d', cid) END AS member_no, CASE WHEN known THEN {name} END AS name,
            NULL AS name_kana, CASE WHEN has_email THEN printf('p%d@example.com', cid) END AS email,
            CASE WHEN has_phone THEN printf('+8190%08d', cid) END AS phone,
            CASE WHEN has_address THEN printf('%07d', hash(cid) % 10000000) END AS postal_code,
            CASE WHEN has_address THEN printf('%d-%d', 1 + cid % 9, 1 + cid % 31) END AS address, NULL AS building
        FROM person"""

    def _customers(self) -> str:
        u = self._u
        return f"""
        WITH bought AS (
            SELECT cid, count(*) FILTER (line = 0) AS count, sum(yen) AS total_yen, min(day) AS first_day, max(day) AS last_day
            FROM {self.read("purchase")} GROUP BY cid),
        acted AS (
            SELECT cid, max(day) AS acted_day FROM {self.read("event")}
            WHERE kind NOT IN ('email_opened', 'reservation_cancelled') AND evidence IS DISTINCT FROM 'C' GROUP BY cid),
        friend AS (
            SELECT cid, bool_or(reachable) AS line_reachable, arg_min(day, account) FILTER (state <> 'blocked') AS friend_day
            FROM {self.read("friend")} GROUP BY cid)
        SELECT cid, known, known AND line_reachable IS NOT NULL AS linked, gender, birthday, town[1] AS prefecture, town[2] AS city,
            coalesce(line_reachable, false) AS line_reachable, has_email AND {u("cid", "no email")} >= 0.05 AS email_reachable,
            has_phone AND {u("cid", "no sms")} >= 0.03 AS sms_reachable, has_address AND known AS postal_reachable,
            coalesce(count, 0) AS count, coalesce(total_yen, 0) AS total_yen, first_day, last_day, friend_day, acted_day,
            greatest(acted_day, last_day, friend_day) AS activity_day
        FROM person LEFT JOIN bought USING (cid) LEFT JOIN acted USING (cid) LEFT JOIN friend USING (cid)"""


_PRICE = "(500 + 10 * (hash(p) % 1500)::INTEGER)"
_SHARES = {
    "message": 32, "clicked": 15, "email_opened": 15, "visited": 22, "postback": 5, "video": 2, "custom": 3, "survey_answered": 3,
    "reservation_made": 2, "followed": 1,
}  # fmt: skip
_KINDS = [kind for kind, share in _SHARES.items() for _ in range(share)]
