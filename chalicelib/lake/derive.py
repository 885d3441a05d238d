"""How the tables that are asked follow from the current state of the items, as SQL; what Person and predicate mean by them.

Each query reads: `own` (cid, living), the numbers it is about and who they are now; by kind of lake.model.CHANGES the rows of
these numbers, the latest of each key, without those that are gone, as `now_<kind>`; `now_event` is the table `event`
itself. Each gives the columns of its table of BASE.

A person's own words are what stands under his living number, as Person has them: a number that became part of another is no
customer. What he did is gathered from all numbers he has had, and so are friendships that have yet to be moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.lake.model import BASE, Columns


def day(instant: str) -> str:
    """Return the JST day of an expression that gives an instant in UTC. Japan's clocks have not been changed since 1951."""
    return f"CAST({instant} + INTERVAL 9 HOUR AS DATE)"


@dataclass(frozen=True, slots=True)
class Derived:
    """A table of BASE. of: the kinds whose changes change a person's rows in it; sql: his rows."""

    of: tuple[str, ...]
    sql: str


_LIVING = "(SELECT cid FROM own WHERE cid = living)"
_WORDS = ("member_no", "name", "name_kana", "email", "phone", "postal_code", "address", "building")

# A friendship is moved to the living number right after the mark: one that still stands at a former number counts, or who is linked
# while the lake is folded would be no friend under either.
_FRIENDS = """
SELECT f.* REPLACE (own.living AS cid) FROM now_friend AS f JOIN own USING (cid)
QUALIFY row_number() OVER (PARTITION BY own.living, f.account ORDER BY own.cid <> own.living, own.cid) = 1
"""

_CUSTOMER = f"""
WITH friends AS ({_FRIENDS}), people AS (
  SELECT cid FROM now_profile UNION SELECT cid FROM now_stats UNION SELECT cid FROM now_activity
  UNION SELECT cid FROM now_tags UNION SELECT cid FROM friends
), befriended AS (
  SELECT cid, bool_or(state <> 'blocked') AS open, arg_min({day("since_at")}, account) FILTER (state <> 'blocked') AS day
  FROM friends GROUP BY cid
)
SELECT people.cid, coalesce(member_no <> '', false) AS known, coalesce(member_no <> '' AND b.cid IS NOT NULL, false) AS linked,
  nullif(gender, '') AS gender, birthday, nullif(prefecture, '') AS prefecture, nullif(city, '') AS city,
  coalesce(b.open AND NOT coalesce(out_line, false), false) AS line_reachable,
  coalesce(email <> '' AND NOT coalesce(out_email, false) AND email_refused.print IS NULL, false) AS email_reachable,
  coalesce(has_mobile AND NOT coalesce(out_sms, false) AND sms_refused.print IS NULL, false) AS sms_reachable,
  coalesce(has_address AND NOT coalesce(out_postal, false), false) AS postal_reachable,
  coalesce(s.count, 0) AS count, coalesce(s.total_yen, 0) AS total_yen,
  {day("s.first_at")} AS first_day, {day("s.last_at")} AS last_day, b.day AS friend_day, {day("a.last_at")} AS acted_day,
  greatest({day("a.last_at")}, {day("s.last_at")}, b.day) AS activity_day
FROM people SEMI JOIN {_LIVING} AS living USING (cid)
LEFT JOIN now_profile AS p USING (cid) LEFT JOIN now_stats AS s USING (cid) LEFT JOIN now_activity AS a USING (cid)
LEFT JOIN befriended AS b USING (cid)
LEFT JOIN now_suppressed AS email_refused ON email_refused.channel = 'email' AND email_refused.print = p.email_print
LEFT JOIN now_suppressed AS sms_refused ON sms_refused.channel = 'sms' AND sms_refused.print = p.phone_print
"""

_IDENTITY = f"""
SELECT cid, {", ".join(f"nullif({word}, '') AS {word}" for word in _WORDS)}
FROM now_profile SEMI JOIN {_LIVING} AS living USING (cid)
"""

_FRIEND = f"""
SELECT f.account, f.cid, f.line_user_id, f.state, f.state <> 'blocked' AND NOT coalesce(p.out_line, false) AS reachable,
  {day("f.since_at")} AS day, nullif(f.display_name, '') AS display_name, nullif(f.language, '') AS language
FROM ({_FRIENDS}) AS f LEFT JOIN now_profile AS p USING (cid)
"""

_TAG = f"SELECT DISTINCT unnest(tags) AS tag, cid FROM now_tags SEMI JOIN {_LIVING} AS living USING (cid)"

_ATTRIBUTE = f"""
SELECT one.name AS name, cid, one.text AS text, one.number AS number, one.flag AS flag, one.day AS day
FROM (SELECT cid, unnest(attributes) AS one FROM now_profile SEMI JOIN {_LIVING} AS living USING (cid))
"""

_PURCHASE = f"""
WITH orders AS (
  SELECT own.living AS cid, order_no, at_instant AS "at", nullif(shop, '') AS shop, amount_yen,
    CASE WHEN coalesce(len(lines), 0) = 0 THEN [NULL] ELSE lines END AS lines,
    row_number() OVER (PARTITION BY own.living ORDER BY at_instant, order_no) = 1 AS is_first,
    row_number() OVER (PARTITION BY own.living ORDER BY at_instant DESC, order_no DESC) = 1 AS is_last
  FROM now_purchase JOIN own USING (cid)
), numbered AS (
  SELECT * EXCLUDE lines, unnest(lines) AS one, generate_subscripts(lines, 1) - 1 AS line FROM orders
)
SELECT cid, order_no, CAST(line AS INTEGER) AS line, {day('"at"')} AS day, "at", shop, amount_yen,
  nullif(one.product, '') AS product, nullif(one.category, '') AS category, one.quantity AS quantity, one.yen AS yen,
  is_first, is_last
FROM numbered
"""

# Two of his numbers may have been in one scenario, and both ways count.
_ENROLLMENT = """
SELECT own.living AS cid, CASE WHEN own.cid = own.living THEN id ELSE id || '@' || own.cid END AS id, scenario, version, status,
  nullif(reason, '') AS reason, entered_at, ended_at
FROM now_enrollment JOIN own USING (cid)
"""

_RECEIVED = """
SELECT kind, id, node, cid, max("at") AS "at" FROM (
  SELECT 'cmp' AS kind, campaign AS id, '' AS node, own.living AS cid, at_instant AS "at" FROM now_recipient JOIN own USING (cid)
  UNION ALL
  SELECT 'scn', scenario, one.node, cid, one."at"
  FROM (SELECT scenario, own.living AS cid, unnest(sent) AS one FROM now_enrollment JOIN own USING (cid))
) GROUP BY kind, id, node, cid
"""

# The source in a token is `kind|id|node` (delivery.model.Job), without a node for a campaign.
_REACTION = """
SELECT kind, id, node, cid, link, evidence, max("at") AS "at" FROM (
  SELECT split_part(source, '|', 1) AS kind, split_part(source, '|', 2) AS id, split_part(source, '|', 3) AS node, cid,
    coalesce(link, '') AS link, evidence, "at"
  FROM now_event WHERE (starts_with(source, 'cmp|') OR starts_with(source, 'scn|')) AND evidence <> ''
  UNION ALL
  SELECT 'scn', scenario, one.node, cid, coalesce(one.link, ''), one.evidence, one."at"
  FROM (SELECT scenario, own.living AS cid, unnest(reactions) AS one FROM now_enrollment JOIN own USING (cid))
  WHERE one.evidence <> ''
) GROUP BY kind, id, node, cid, link, evidence
"""

DERIVED: Mapping[str, Derived] = {
    "customer": Derived(("profile", "stats", "activity", "tags", "friend", "suppressed"), _CUSTOMER),
    "identity": Derived(("profile",), _IDENTITY),
    "friend": Derived(("friend", "profile"), _FRIEND),
    "tag": Derived(("tags",), _TAG),
    "attribute": Derived(("profile",), _ATTRIBUTE),
    "purchase": Derived(("purchase",), _PURCHASE),
    "enrollment": Derived(("enrollment",), _ENROLLMENT),
    "received": Derived(("recipient", "enrollment"), _RECEIVED),
    "reaction": Derived(("event", "enrollment"), _REACTION),
}

# The table `event` is made of its changes alone: one row each, under the living number. own: the number it came under, where that
# is another; v, seen_at: the change's version and instant, "" and NULL once nothing older can come any more.
EVENT_BESIDES: Columns = {"own": "BIGINT", "v": "VARCHAR", "seen_at": "TIMESTAMP", "expires_at": "TIMESTAMP"}
EVENT_ROW = f"""
coalesce(living, e.cid) AS cid, id, kind, {day("at_instant")} AS day, at_instant AS "at", name, account, source, link, evidence,
data, CASE WHEN living <> e.cid THEN e.cid END AS own, v, e."at" AS seen_at, expires_at
"""
MERGED: Columns = {"cid": "BIGINT", "into": "BIGINT", "living": "BIGINT"}
# From the marks on profiles to who is who in the end; twenty numbers in one are more than there will ever be.
LIVING = """
WITH RECURSIVE way AS (
  SELECT cid, "into" AS living, 1 AS steps FROM marked
  UNION ALL
  SELECT way.cid, marked."into", steps + 1 FROM way JOIN marked ON marked.cid = way.living WHERE steps < 20
)
SELECT marked.cid, "into", living FROM marked JOIN (SELECT cid, arg_max(living, steps) AS living FROM way GROUP BY cid) USING (cid)
"""


def columns_of_table(table: str) -> Columns:
    """Return the columns of a table's files."""
    return {**BASE[table].columns, **EVENT_BESIDES} if table == "event" else BASE[table].columns
