"""One person with a year of history, for measuring what a condition of one person costs."""

from __future__ import annotations

from datetime import date, timedelta

from chalicelib.customers.model import Customer, Gender, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.orders.model import Line, Order, PurchaseStats
from chalicelib.segments.model import Act, Contact, History, Person, Reaction, Way
from chalicelib.tracking.model import Activity
from local.lake_data import NOW

_CID = Cid(1)
_AGO = [NOW - timedelta(days=days) for days in range(1, 365, 15)]
_ORDERS = tuple(
    Order(f"O{place}", _CID, at, 5000, (), f"shop_{place % 5:02}", (Line(f"P{place % 9:03}", "C01", 1, 5000),))
    for place, at in enumerate(_AGO[::6])
)
_CONTACTS = [Contact("cmp", f"cmp_{number:02}") for number in range(13)]
PERSON = Person(
    Customer(
        _CID,
        Profile(
            member_no="M1", name="佐藤 花子", birthday=date(1992, 5, 5), gender=Gender("female"), prefecture="北海道", city="札幌市"
        ),
    ),
    PurchaseStats(len(_ORDERS), 5000 * len(_ORDERS), _ORDERS[-1].at, _ORDERS[0].at),
    frozenset({"tag_001", "tag_005", "tag_017"}),
    {AccountKey("main"): Friend(_CID, AccountKey("main"), LineUserId("U1"), FollowState.FOLLOWING, _AGO[-1])},
    activity=Activity(_AGO[0]),
    history=History(
        _ORDERS,
        tuple(Act("clicked", at, link="link_001", evidence="B") for at in _AGO),
        (Way("dormant90", "active"),),
        frozenset(_CONTACTS),
        tuple(Reaction(contact, "B", "link_001") for contact in _CONTACTS[:6]),
    ),
)
