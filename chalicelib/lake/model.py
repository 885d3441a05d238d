"""What lies in the lake: changes as they come from the tables' streams, the base they are folded into, and what is asked; pure.

Files on S3, below LAKE:
  manifest.json                        which files are the lake; replaced as a whole, by If-Match
  delta/{kind}/{name}.parquet          changes of one kind of item (CHANGES), each with the version `v` of its item
  base/{table}/{part}/{name}.parquet   a table of BASE, in folders by Table.part where it has one
Days are JST days, instants are UTC without a zone. A missing value is NULL; a condition about one is false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LAKE = "lake/"
Columns = Mapping[str, str]  # name to DuckDB type


_MONTH = """strftime("at", '%Y-%m')"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one kind. key: what a row is known by; of two with one key the greater `v` stands.

    order: how rows lie in a base file. part: SQL of the folder below the table's in which a row lies, where a table lies in
    several: what changes is to be a small part of a table, for its file is written anew.
    """

    key: tuple[str, ...]
    columns: Columns
    order: tuple[str, ...] = ()
    part: str = "''"


# Every change has these besides: `v`, the sequence number of its stream record in forty digits, which grows for one item and
# says nothing across items; `at`, when the stream saw it, to the second; `gone`, whether the item was deleted.
CHANGE_COLUMNS: Columns = {"v": "VARCHAR", "at": "TIMESTAMP", "gone": "BOOLEAN"}

# By kind: the item that it comes from, and what of it is kept. Items that nobody asks about are in no kind. expires_at: when its
# table lets go of the item by itself, which the lake does not; NULL for one that stays until somebody deletes it.
CHANGES: Mapping[str, Table] = {
    # core `C#cid` / `P`
    "profile": Table(
        ("cid",),
        {
            "cid": "BIGINT", "member_no": "VARCHAR", "name": "VARCHAR", "name_kana": "VARCHAR", "email": "VARCHAR",
            "email_print": "VARCHAR", "phone": "VARCHAR", "phone_print": "VARCHAR", "postal_code": "VARCHAR",
            "prefecture": "VARCHAR", "city": "VARCHAR", "address": "VARCHAR", "building": "VARCHAR", "gender": "VARCHAR",
            "birthday": "DATE", "has_mobile": "BOOLEAN", "has_address": "BOOLEAN", "out_line": "BOOLEAN", "out_email": "BOOLEAN",
            "out_sms": "BOOLEAN", "out_postal": "BOOLEAN", "merged_into": "BIGINT", "created_at": "TIMESTAMP",
            "attributes": "STRUCT(name VARCHAR, text VARCHAR, number DOUBLE, flag BOOLEAN, day DATE)[]",
        },
    ),
    # core `C#cid` / `S`
    "stats": Table(
        ("cid",),
        {
            "cid": "BIGINT", "count": "INTEGER", "total_yen": "BIGINT", "first_at": "TIMESTAMP", "last_at": "TIMESTAMP",
            "first_no": "VARCHAR",
        },
    ),
    # core `C#cid` / `A`
    "activity": Table(("cid",), {"cid": "BIGINT", "last_at": "TIMESTAMP"}),
    # core `C#cid` / `T`
    "tags": Table(("cid",), {"cid": "BIGINT", "tags": "VARCHAR[]"}),
    # core `C#cid` / `FR#account`
    "friend": Table(
        ("account", "cid"),
        {
            "account": "VARCHAR", "cid": "BIGINT", "line_user_id": "VARCHAR", "state": "VARCHAR", "since_at": "TIMESTAMP",
            "display_name": "VARCHAR", "language": "VARCHAR",
        },
    ),
    # core `SUP#channel#print` / `#`
    "suppressed": Table(("channel", "print"), {"channel": "VARCHAR", "print": "VARCHAR"}),
    # timeline `C#cid` / `PUR#…`
    "purchase": Table(
        ("cid", "order_no"),
        {
            "cid": "BIGINT", "order_no": "VARCHAR", "at_instant": "TIMESTAMP", "shop": "VARCHAR", "amount_yen": "BIGINT",
            "lines": "STRUCT(product VARCHAR, category VARCHAR, quantity INTEGER, yen BIGINT)[]", "expires_at": "TIMESTAMP",
        },
    ),
    # timeline `C#cid` / `EV#…`; id: the sort key
    "event": Table(
        ("cid", "id"),
        {
            "cid": "BIGINT", "id": "VARCHAR", "kind": "VARCHAR", "at_instant": "TIMESTAMP", "name": "VARCHAR", "account": "VARCHAR",
            "source": "VARCHAR", "link": "VARCHAR", "evidence": "VARCHAR", "data": "MAP(VARCHAR, VARCHAR)",
            "expires_at": "TIMESTAMP",
        },
    ),
    # engine `C#cid` / `ENR#…`; id: the sort key and the run. sent: by node, the last time; reactions: as Enrollment.responses
    "enrollment": Table(
        ("cid", "id"),
        {
            "cid": "BIGINT", "id": "VARCHAR", "scenario": "VARCHAR", "version": "INTEGER", "status": "VARCHAR",
            "reason": "VARCHAR", "entered_at": "TIMESTAMP", "ended_at": "TIMESTAMP",
            "sent": 'STRUCT(node VARCHAR, "at" TIMESTAMP)[]',
            "reactions": 'STRUCT(node VARCHAR, link VARCHAR, evidence VARCHAR, "at" TIMESTAMP)[]', "expires_at": "TIMESTAMP",
        },
    ),
    # in each table `MARK#n` / `#`: written by us, to see how far the streams have come
    "mark": Table(("table", "number"), {"table": "VARCHAR", "number": "INTEGER", "asked_at": "TIMESTAMP"}),
    # engine `CMP#id#shard` / cid, once the message left
    "recipient": Table(
        ("campaign", "cid"), {"campaign": "VARCHAR", "cid": "BIGINT", "at_instant": "TIMESTAMP", "expires_at": "TIMESTAMP"}
    ),
}  # fmt: skip

# What conditions ask, as segments/sql.py names it. Of two numbers that were linked the living one stands everywhere, and
# whoever has become part of another is no customer. None of these tables has more rows than its key says.
BASE: Mapping[str, Table] = {
    # One row for everybody who has any item in the core table. *_reachable: has an address that works and has not refused the
    # channel; line: on any account. friend_day: of the first reachable account by key. activity_day: the latest of his own acts,
    # his last purchase and friend_day.
    "customer": Table(
        ("cid",),
        {
            "cid": "BIGINT", "known": "BOOLEAN", "linked": "BOOLEAN", "gender": "VARCHAR", "birthday": "DATE",
            "prefecture": "VARCHAR", "city": "VARCHAR", "line_reachable": "BOOLEAN", "email_reachable": "BOOLEAN",
            "sms_reachable": "BOOLEAN", "postal_reachable": "BOOLEAN", "count": "INTEGER", "total_yen": "BIGINT",
            "first_day": "DATE", "last_day": "DATE", "friend_day": "DATE", "acted_day": "DATE", "activity_day": "DATE",
        },
        ("cid",),
    ),
    # Long and seldom asked for: apart, so that the other file stays small.
    "identity": Table(
        ("cid",),
        {
            "cid": "BIGINT", "member_no": "VARCHAR", "name": "VARCHAR", "name_kana": "VARCHAR", "email": "VARCHAR",
            "phone": "VARCHAR", "postal_code": "VARCHAR", "address": "VARCHAR", "building": "VARCHAR",
        },
        ("cid",),
    ),
    # reachable: follows or is not known to have blocked, and has not refused LINE.
    "friend": Table(
        ("account", "cid"),
        {
            "account": "VARCHAR", "cid": "BIGINT", "line_user_id": "VARCHAR", "state": "VARCHAR", "reachable": "BOOLEAN",
            "day": "DATE", "display_name": "VARCHAR", "language": "VARCHAR",
        },
        ("account", "cid"),
    ),
    "tag": Table(("tag", "cid"), {"tag": "VARCHAR", "cid": "BIGINT"}, ("tag", "cid")),
    # One of text, number and flag is there, by the value's type; day besides, where text names one.
    "attribute": Table(
        ("name", "cid"),
        {"name": "VARCHAR", "cid": "BIGINT", "text": "VARCHAR", "number": "DOUBLE", "flag": "BOOLEAN", "day": "DATE"},
        ("name", "cid"),
    ),
    # One row a line, numbered from 0; an order without lines has one, without a product. is_first, is_last: of his orders, of
    # several at one instant the least and the greatest number.
    "purchase": Table(
        ("cid", "order_no", "line"),
        {
            "cid": "BIGINT", "order_no": "VARCHAR", "line": "INTEGER", "day": "DATE", "at": "TIMESTAMP", "shop": "VARCHAR",
            "amount_yen": "BIGINT", "product": "VARCHAR", "category": "VARCHAR", "quantity": "INTEGER", "yen": "BIGINT",
            "is_first": "BOOLEAN", "is_last": "BOOLEAN",
        },
        ("product", "cid"),
        # Whoever buys again turns one row of his, of those that were the last.
        "CASE WHEN is_last THEN 'last' ELSE 'former' END",
    ),
    "event": Table(
        ("cid", "id"),
        {
            "cid": "BIGINT", "id": "VARCHAR", "kind": "VARCHAR", "day": "DATE", "at": "TIMESTAMP", "name": "VARCHAR",
            "account": "VARCHAR", "source": "VARCHAR", "link": "VARCHAR", "evidence": "VARCHAR", "data": "MAP(VARCHAR, VARCHAR)",
        },
        ("kind", "cid"),
        _MONTH,
    ),
    "enrollment": Table(
        ("cid", "id"),
        {
            "cid": "BIGINT", "id": "VARCHAR", "scenario": "VARCHAR", "version": "INTEGER", "status": "VARCHAR",
            "reason": "VARCHAR", "entered_at": "TIMESTAMP", "ended_at": "TIMESTAMP",
        },
        ("scenario", "cid"),
    ),
    # kind: `cmp` or `scn`. node: "" of a campaign. at: the last time.
    "received": Table(
        ("kind", "id", "node", "cid"),
        {"kind": "VARCHAR", "id": "VARCHAR", "node": "VARCHAR", "cid": "BIGINT", "at": "TIMESTAMP"},
        ("kind", "id", "cid"),
    ),
    # From clicks and opens, by the source in their token, and from what enrollments note.
    "reaction": Table(
        ("kind", "id", "node", "cid", "link", "evidence"),
        {
            "kind": "VARCHAR", "id": "VARCHAR", "node": "VARCHAR", "cid": "BIGINT", "link": "VARCHAR", "evidence": "VARCHAR",
            "at": "TIMESTAMP",
        },
        ("kind", "id", "cid"),
        _MONTH,
    ),
}  # fmt: skip
