"""The same questions in SQLite, the way that LINE Harness OSS asks them: what `make bench` sets beside the lake.

Its tables as far as they are asked (packages/db/schema.sql and apps/worker/src/services/segment-query.ts of Shudesu/line-harness-oss):
a row a friend with what is known of him as JSON, tags in `friend_tags` with its primary key (friend_id, tag_id) and its index of
tag_id, an index of who follows. A condition becomes one WHERE: `json_extract(f.metadata, ?) = ?` and `EXISTS (SELECT 1 FROM friend_tags …)`.

Fair to it: ids are random UUIDs, as it makes them, but rows and indexes are written in the order that packs them best and ANALYZE
has run; the file is in this machine's cache, where Cloudflare D1 would be asked over the network; ages are kept as decades,
because it compares for equality alone. Both must count the same people.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE friends (
  id TEXT PRIMARY KEY, line_user_id TEXT UNIQUE NOT NULL, display_name TEXT, is_following INTEGER NOT NULL DEFAULT 1,
  metadata TEXT NOT NULL DEFAULT '{}', created_at TEXT NOT NULL);
CREATE TABLE friend_tags (
  friend_id TEXT NOT NULL, tag_id TEXT NOT NULL, assigned_at TEXT NOT NULL, PRIMARY KEY (friend_id, tag_id));
"""
_INDEXES = """
CREATE INDEX idx_friend_tags_tag_id ON friend_tags (tag_id);
CREATE INDEX idx_friends_follow_tenure ON friends (is_following, created_at);
ANALYZE;
"""
_IS = "json_extract(f.metadata, ?) = ?"
_TAGGED = "EXISTS (SELECT 1 FROM friend_tags ft WHERE ft.friend_id = f.id AND ft.tag_id = ?)"
_FEMALE = ("$.gender", "female")
_GIRL: Any = {"field": "profile.gender", "is": "female"}
# By name: the conditions as the lake is asked them, the WHERE as LINE Harness writes it, and what its question marks stand for;
# to both comes that he follows, as in everything that is sent.
QUESTIONS: Mapping[str, tuple[Any, str, tuple[Any, ...]]] = {
    "女性30代札幌": (
        [_GIRL, {"field": "profile.age", "from": 30, "to": 39}, {"field": "profile.city", "is": "札幌市"}],
        f"{_IS} AND {_IS} AND {_IS}",
        (*_FEMALE, "$.age", "30", "$.city", "札幌市"),
    ),
    "a tag and not another": (
        [{"tag": "tag_003"}, {"not": {"tag": "tag_002"}}],
        f"{_TAGGED} AND NOT {_TAGGED}",
        ("tag_003", "tag_002"),
    ),
    "woman or a tag, not another": (
        [{"any": [_GIRL, {"tag": "tag_003"}]}, {"not": {"tag": "tag_005"}}],
        f"({_IS} OR {_TAGGED}) AND NOT {_TAGGED}",
        (*_FEMALE, "tag_003", "tag_005"),
    ),
}
_ID = """printf('%08x-%04x-4%03x-8%03x-%012x', hash(cid) >> 32, (hash(cid) >> 16) & 65535, hash(cid) & 4095,
    hash(cid + 1) >> 52, hash(cid + 1) & 281474976710655)"""
_FRIENDS = f"""
SELECT {_ID}, printf('U%032x', cid), coalesce(name, ''), line_reachable::INTEGER, to_json({{'gender': gender,
    'age': (date_sub('year', birthday, DATE '2026-11-22') // 10 * 10)::VARCHAR, 'city': city, 'prefecture': prefecture,
    'member_no': member_no, 'last_order': last_day, 'orders': count, 'yen': total_yen}}), '2026-01-01T00:00:00.000'
FROM customer JOIN identity USING (cid) ORDER BY cid"""
_CARRIED = f"SELECT {_ID} AS id, tag, '2026-01-01T00:00:00.000' FROM tag ORDER BY id, tag"


def write_database(folder: Path, database: Path) -> None:
    """Write the people and tags of a made-up lake as LINE Harness would keep them."""
    import duckdb

    with duckdb.connect() as lake, sqlite3.connect(database) as kept:
        for table in ("customer", "identity", "tag"):
            lake.execute(f"CREATE VIEW \"{table}\" AS FROM read_parquet('{folder}/lake/base/{table}/*.parquet')")
        kept.executescript(_TABLES)
        for query, into in ((_FRIENDS, "friends VALUES (?, ?, ?, ?, ?, ?)"), (_CARRIED, "friend_tags VALUES (?, ?, ?)")):
            rows = lake.execute(query)
            while batch := rows.fetchmany(50_000):
                kept.executemany(f"INSERT INTO {into}", batch)
        kept.executescript(_INDEXES)


def tree_of(name: str) -> Any:
    """Return a question as a condition of ours."""
    return {"all": [{"field": "line.reachable", "is": True}, *QUESTIONS[name][0]]}


def count(kept: sqlite3.Connection, name: str) -> int:
    """Return how many people a question finds."""
    _, where, values = QUESTIONS[name]
    text = f"SELECT COUNT(*) AS count FROM friends f WHERE f.is_following = ? AND {where}"
    (found,) = kept.execute(text, (1, *values)).fetchone()
    return int(found)
