"""What the lake must hold, worked out from the items that stand in the tables: plain Python, no SQL, no shortcuts."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Items = dict[tuple[str, tuple[Any, ...]], Row]  # by kind and key, what stands
Tables = dict[str, set[tuple[Any, ...]]]


def day(instant: datetime | None) -> date | None:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo("Asia/Tokyo")).date() if instant else None


def tables_of(items: Items) -> Tables:
    """Return the rows of every table of BASE, columns in the order of the model."""
    kinds: dict[str, list[Row]] = defaultdict(list)
    for (kind, _), row in items.items():
        kinds[kind].append(row)
    profiles = {row["cid"]: row for row in kinds["profile"]}

    def living(cid: int) -> int:
        while (into := profiles.get(cid, {}).get("merged_into")) is not None:
            cid = into
        return cid

    kinds["friend"] = _friends(kinds["friend"], living)
    core = [row["cid"] for kind in ("profile", "stats", "activity", "tags", "friend") for row in kinds[kind]]
    people = {cid for cid in core if living(cid) == cid}
    tables: Tables = {"customer": {_customer(cid, kinds, profiles) for cid in people}}
    words = ("member_no", "name", "name_kana", "email", "phone", "postal_code", "address", "building")
    tables["identity"] = {(cid, *(profiles[cid].get(word) or None for word in words)) for cid in people & set(profiles)}
    tables["friend"] = {
        (
            row["account"], row["cid"], row.get("line_user_id"), row["state"],
            row["state"] != "blocked" and not profiles.get(row["cid"], {}).get("out_line"),
            day(row.get("since_at")), row.get("display_name"), row.get("language"),
        )
        for row in kinds["friend"] if row["cid"] in people
    }  # fmt: skip
    tables["tag"] = {(tag, row["cid"]) for row in kinds["tags"] if row["cid"] in people for tag in row["tags"]}
    tables["attribute"] = {
        (one["name"], cid, one.get("text"), one.get("number"), one.get("flag"), one.get("day"))
        for cid in people & set(profiles) for one in profiles[cid].get("attributes") or ()
    }  # fmt: skip
    tables["purchase"] = _purchases(kinds, living)
    tables["event"] = {
        (
            living(row["cid"]), row["id"], row["kind"], day(row["at_instant"]), row["at_instant"], row.get("name"), row.get("account"),
            row.get("source"), row.get("link"), row.get("evidence"), tuple(sorted((row.get("data") or {}).items())),
        )
        for row in kinds["event"]
    }  # fmt: skip
    tables["enrollment"] = {
        (
            living(row["cid"]), row["id"] if living(row["cid"]) == row["cid"] else f"{row['id']}@{row['cid']}", row["scenario"],
            row["version"], row["status"], row.get("reason"), row["entered_at"], row.get("ended_at"),
        )
        for row in kinds["enrollment"]
    }  # fmt: skip
    tables["received"], tables["reaction"] = _latest(_received(kinds, living)), _latest(_reactions(kinds, living))
    return tables


def _friends(rows: list[Row], living: Any) -> list[Row]:
    """Return friendships under living numbers: one that has yet to be moved from a former number counts, unless there is one."""
    found: dict[tuple[str, int], Row] = {}
    for row in sorted(rows, key=lambda row: (living(row["cid"]) != row["cid"], row["cid"])):
        found.setdefault((row["account"], living(row["cid"])), {**row, "cid": living(row["cid"])})
    return list(found.values())


def _customer(cid: int, kinds: dict[str, list[Row]], profiles: dict[int, Row]) -> tuple[Any, ...]:
    profile = profiles.get(cid, {})
    stats = next((row for row in kinds["stats"] if row["cid"] == cid), {})
    activity = next((row for row in kinds["activity"] if row["cid"] == cid), {})
    friends = sorted((row for row in kinds["friend"] if row["cid"] == cid), key=lambda row: row["account"])
    refused = {(row["channel"], row["print"]) for row in kinds["suppressed"]}
    open_ones = [row for row in friends if row["state"] != "blocked"]
    friend_day = day(open_ones[0].get("since_at")) if open_ones else None
    known = bool(profile.get("member_no"))
    days = [day(activity.get("last_at")), day(stats.get("last_at")), friend_day]
    return (
        cid, known, known and bool(friends), profile.get("gender"), profile.get("birthday"), profile.get("prefecture"),
        profile.get("city"),
        bool(open_ones) and not profile.get("out_line"),
        bool(profile.get("email")) and not profile.get("out_email") and ("email", profile.get("email_print")) not in refused,
        bool(profile.get("has_mobile")) and not profile.get("out_sms") and ("sms", profile.get("phone_print")) not in refused,
        bool(profile.get("has_address")) and not profile.get("out_postal"),
        stats.get("count", 0), stats.get("total_yen", 0), day(stats.get("first_at")), day(stats.get("last_at")),
        friend_day, day(activity.get("last_at")), max((one for one in days if one), default=None),
    )  # fmt: skip


def _purchases(kinds: dict[str, list[Row]], living: Any) -> set[tuple[Any, ...]]:
    rows = set()
    people: dict[int, list[Row]] = defaultdict(list)
    for row in kinds["purchase"]:
        people[living(row["cid"])].append(row)
    for cid, orders in people.items():
        orders.sort(key=lambda row: (row["at_instant"], row["order_no"]))
        for row in orders:
            for number, line in enumerate(row.get("lines") or [{}]):
                rows.add(
                    (
                        cid,
                        row["order_no"],
                        number,
                        day(row["at_instant"]),
                        row["at_instant"],
                        row.get("shop"),
                        row["amount_yen"],
                        line.get("product"),
                        line.get("category"),
                        line.get("quantity"),
                        line.get("yen"),
                        row is orders[0],
                        row is orders[-1],
                    )  # fmt: skip
                )
    return rows


def _received(kinds: dict[str, list[Row]], living: Any) -> list[tuple[Any, ...]]:
    rows = [("cmp", row["campaign"], "", living(row["cid"]), row["at_instant"]) for row in kinds["recipient"]]
    for row in kinds["enrollment"]:
        rows += [("scn", row["scenario"], one["node"], living(row["cid"]), one["at"]) for one in row.get("sent") or ()]
    return rows


def _reactions(kinds: dict[str, list[Row]], living: Any) -> list[tuple[Any, ...]]:
    rows = []
    for row in kinds["event"]:
        kind, *rest = (row.get("source") or "").split("|")
        if kind in ("cmp", "scn") and row.get("evidence"):
            ident, node = [*rest, "", ""][:2]
            rows.append((kind, ident, node, living(row["cid"]), row.get("link") or "", row["evidence"], row["at_instant"]))
    for row in kinds["enrollment"]:
        for one in row.get("reactions") or ():
            rows.append(
                ("scn", row["scenario"], one["node"], living(row["cid"]), one.get("link") or "", one["evidence"], one["at"])
            )
    return rows


def _latest(rows: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    latest: dict[tuple[Any, ...], datetime] = {}
    for *key, at in rows:
        latest[tuple(key)] = max(at, latest.get(tuple(key), at))
    return {(*key, at) for key, at in latest.items()}
