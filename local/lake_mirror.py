"""From the tables of a made-up lake back to the items that they would have come from: rows of chalicelib.lake.model.CHANGES."""

from __future__ import annotations

from collections.abc import Callable, Mapping

# What there is of a made-up person.
KINDS = ("profile", "stats", "activity", "tags", "friend", "purchase", "enrollment", "recipient")
_NOON = "+ INTERVAL 3 HOUR"  # of a JST day, as an instant in UTC


def mirror(read: Callable[[str], str]) -> Mapping[str, str]:
    """Return by kind the SQL of its rows, without the columns that every change has. read: gives SQL that reads a table of BASE.

    Acts stand in the table `event` themselves. Nobody is suppressed and nobody has become part of another.
    """
    return {
        "profile": f"""
        SELECT cid, i.* EXCLUDE cid, c.prefecture, c.city, c.gender, c.birthday, md5(i.email)[:24] AS email_print,
            md5(i.phone)[:24] AS phone_print, i.phone IS NOT NULL AS has_mobile, i.address IS NOT NULL AS has_address,
            coalesce(f.out_line, false) AS out_line, i.email IS NOT NULL AND NOT c.email_reachable AS out_email,
            i.phone IS NOT NULL AND NOT c.sms_reachable AS out_sms, i.address IS NOT NULL AND NOT c.postal_reachable AS out_postal,
            NULL AS merged_into, TIMESTAMP '2020-01-01 00:00:00' AS created_at, coalesce(a.attributes, []) AS attributes
        FROM {read("identity")} AS i JOIN {read("customer")} AS c USING (cid) LEFT JOIN (
            SELECT cid, list({{'name': name, 'text': text, 'number': number, 'flag': flag, 'day': day}}) AS attributes
            FROM {read("attribute")} GROUP BY cid) AS a USING (cid) LEFT JOIN (
            SELECT cid, bool_or(state <> 'blocked' AND NOT reachable) AS out_line FROM {read("friend")} GROUP BY cid) AS f USING (cid)""",
        "stats": f"""
        SELECT cid, count, total_yen, first_day {_NOON} AS first_at, last_day {_NOON} AS last_at, NULL AS first_no
        FROM {read("customer")} WHERE count > 0""",
        "activity": f"SELECT cid, acted_day {_NOON} AS last_at FROM {read('customer')} WHERE acted_day IS NOT NULL",
        "tags": f"SELECT cid, list(tag ORDER BY tag) AS tags FROM {read('tag')} GROUP BY cid",
        "friend": f"""
        SELECT account, cid, line_user_id, state, day {_NOON} AS since_at, display_name, language FROM {read("friend")}""",
        "purchase": f"""
        SELECT cid, order_no, max("at") AS at_instant, max(shop) AS shop, max(amount_yen) AS amount_yen, NULL AS expires_at,
            list({{'product': product, 'category': category, 'quantity': quantity, 'yen': yen}} ORDER BY line) AS lines
        FROM {read("purchase")} GROUP BY cid, order_no""",
        "enrollment": f"""
        SELECT *, NULL AS expires_at, [{{'node': 'send_a', 'at': entered_at}}] AS sent, [] AS reactions FROM {read("enrollment")}""",
        "recipient": f"""
        SELECT id AS campaign, cid, "at" AS at_instant, NULL AS expires_at FROM {read("received")} WHERE kind = 'cmp'""",
    }
