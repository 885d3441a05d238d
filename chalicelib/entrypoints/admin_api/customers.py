"""Customers, their consent, orders and timeline; friends; identity links."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from chalicelib.customers.model import PROFILE_FIELDS, Customer, DeliveryChannel, clean
from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint, instant
from chalicelib.friends.model import Friend
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.kernel.facts import ProfileChanged
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId, customer_id, parse_customer_id
from chalicelib.kernel.windows import local_date
from chalicelib.orders.model import Line, Order, PurchaseStats, numbered, told_number
from chalicelib.people.model import member_identity
from chalicelib.reactions import react
from chalicelib.segments.rfm import Bounds, frequency, monetary, recency

Scalar = str | int | float | bool
# The same within what DynamoDB keeps and JSON's readers understand.
_GivenScalar = (
    Annotated[str, msgspec.Meta(max_length=500)]
    | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
    | Annotated[float, msgspec.Meta(ge=-1e15, le=1e15)]
    | bool
)


class ConsentView(View, kw_only=True):
    """A person's word on a channel."""

    is_opted_out: bool
    at: str
    source: str


class RfmView(View, kw_only=True):
    """How recently, how often and for how much he has bought, each from 1 to 5 (docs/segments.md)."""

    recency: int
    frequency: int
    monetary: int


class CustomerView(View, kw_only=True):
    """A customer. kind: `none` has never bought, `new` has once, `existing` more often; rfm: of who has bought."""

    customer_id: str
    member_no: str
    name: str
    name_kana: str
    birthday: date | None
    gender: str | None
    email: str
    phone: str
    postal_code: str
    prefecture: str
    city: str
    address: str
    building: str
    attributes: dict[str, Scalar]
    consents: dict[str, ConsentView]
    tags: list[str]
    purchase_count: int
    purchase_total_yen: int
    first_purchase_at: datetime | None
    last_purchase_at: datetime | None
    kind: str
    rfm: RfmView | None


class CustomerList(View, kw_only=True):
    """A page of customers."""

    items: list[CustomerView]
    next_cursor: str | None


class CustomerBody(Body, kw_only=True):
    """The fields to write; those that are left out stay, an empty text empties one. attributes: likewise, null takes one away."""

    member_no: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    name_kana: str | UnsetType = UNSET
    birthday: str | UnsetType = UNSET
    gender: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    phone: str | UnsetType = UNSET
    postal_code: str | UnsetType = UNSET
    prefecture: str | UnsetType = UNSET
    city: str | UnsetType = UNSET
    address: str | UnsetType = UNSET
    building: str | UnsetType = UNSET
    attributes: dict[Annotated[str, msgspec.Meta(min_length=1, max_length=100)], _GivenScalar | None] | UnsetType = UNSET


def _values(body: CustomerBody) -> dict[str, Any]:
    given = msgspec.to_builtins(body)
    return {name: value if name == "attributes" else clean(name, value) for name, value in given.items()}


def cid_in(call: Call[Any]) -> Cid:
    """Return the number of the person in the path, following a link. Raises NotFoundError(`customer.unknown`)."""
    cid = parse_customer_id(call.path["customer_id"])
    if cid is None:
        raise NotFoundError("customer.unknown")
    return call.world.customers.get(cid).cid


def _rfm(stats: PurchaseStats, today: date, bounds: Bounds) -> RfmView | None:
    recent = recency(local_date(stats.last_at) if stats.last_at else None, today, bounds)
    often, much = frequency(stats.count, bounds), monetary(stats.total_yen, stats.count, bounds)
    if recent is None or often is None or much is None:
        return None
    return RfmView(recency=recent, frequency=often, monetary=much)


def _view(call: Call[Any], customer: Customer) -> CustomerView:
    return _views(call, [customer])[0]


def _views(call: Call[Any], customers: list[Customer]) -> list[CustomerView]:
    people = call.world.segments.load([customer.cid for customer in customers], [])
    today = local_date(call.world.clock.now())
    views = []
    for customer in customers:
        profile, person = customer.profile, people[customer.cid]
        plain = {name: getattr(profile, name) for name in PROFILE_FIELDS}
        consents = {
            str(channel): ConsentView(is_opted_out=word.is_opted_out, at=word.at, source=word.source)
            for channel, word in customer.consents.items()
        }
        views.append(
            CustomerView(
                customer_id=customer_id(customer.cid),
                **plain,
                consents=consents,
                tags=sorted(person.tags),
                purchase_count=person.stats.count,
                purchase_total_yen=person.stats.total_yen,
                first_purchase_at=person.stats.first_at,
                last_purchase_at=person.stats.last_at,
                kind="none" if not person.stats.count else "new" if person.stats.count == 1 else "existing",
                rfm=_rfm(person.stats, today, call.world.segments.bounds()),
            )
        )
    return views


@endpoint(
    "GET", "/customers", scope="customers:read", summary="顧客の一覧 / List customers", response=CustomerList,
    query=("cursor", "limit", "member_no"),
)  # fmt: skip
def list_customers(call: Call[None]) -> CustomerList:
    """List customers, or find one by member number."""
    if call.query.get("member_no"):
        found = call.world.customers.by_member_no(call.query["member_no"])
        return CustomerList(items=[_view(call, found)], next_cursor=None)
    page = call.world.customers.page(call.query.get("cursor"), call.size())
    return CustomerList(items=_views(call, page.items), next_cursor=page.next_cursor)


@endpoint(
    "POST", "/customers", scope="customers:write", request=CustomerBody, response=CustomerView,
    summary="会員番号で顧客を登録・更新 / Create or change a customer by member number",
)  # fmt: skip
def save_customer(call: Call[CustomerBody]) -> CustomerView:
    """Create or change a customer."""
    values = _values(call.body)
    if not values.get("member_no"):
        raise InvalidError("customer.member_no_missing")
    if call.world.people.find(member_identity(values["member_no"])) is None:
        call.world.erasures.refuse(values)
    customer, _ = call.world.customers.save(values)
    _tell_changed(call, customer)
    return _view(call, customer)


def _tell_changed(call: Call[CustomerBody], customer: Customer) -> None:
    now = call.world.clock.now()
    react([ProfileChanged(fact_id=f"profile|{customer.cid}|{to_text(now)}", cid=customer.cid, at=now)], call.world)


@endpoint("GET", "/customers/{customer_id}", scope="customers:read", summary="顧客 / One customer", response=CustomerView)
def get_customer(call: Call[None]) -> CustomerView:
    """Return a customer."""
    return _view(call, call.world.customers.get(cid_in(call)))


@endpoint(
    "PATCH", "/customers/{customer_id}", scope="customers:write", summary="顧客を変更 / Change a customer",
    request=CustomerBody, response=CustomerView,
)  # fmt: skip
def change_customer(call: Call[CustomerBody]) -> CustomerView:
    """Change a customer."""
    customer = call.world.customers.change(cid_in(call), _values(call.body))
    _tell_changed(call, customer)
    return _view(call, customer)


class ConsentBody(Body, kw_only=True):
    """A person's word and where he gave it (the proof that 特定電子メール法 asks for)."""

    is_opted_out: bool
    source: str


@endpoint(
    "PUT", "/customers/{customer_id}/consents/{channel}", scope="customers:write", request=ConsentBody, status=204,
    summary="配信停止・再開を記録 / Record a consent or refusal",
)  # fmt: skip
def set_consent(call: Call[ConsentBody]) -> None:
    """Record a consent."""
    if call.path["channel"] not in list(DeliveryChannel):
        raise InvalidError("api.parameter_malformed", name="channel")
    channel = DeliveryChannel(call.path["channel"])
    source = f"api:{call.principal.key_id} {call.body.source}"[:200]
    facts = call.world.customers.set_consent(cid_in(call), channel, opted_out=call.body.is_opted_out, source=source)
    react(facts, call.world)


_Yen = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]  # negative: goods taken back


class LineBody(Body, kw_only=True):
    """One product of an order. yen: of the whole line."""

    product: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    category: Annotated[str, msgspec.Meta(max_length=100)] = ""
    quantity: Annotated[int, msgspec.Meta(ge=-(10**6), le=10**6)] = 1
    yen: _Yen = 0


class OrderBody(Body, kw_only=True):
    """A purchase. lines: its products with what else is known of them; or `products` alone."""

    order_no: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,64}$")]
    member_no: str
    ordered_at: datetime
    amount_yen: _Yen
    products: list[Annotated[str, msgspec.Meta(min_length=1, max_length=100)]] = []
    lines: Annotated[list[LineBody], msgspec.Meta(max_length=200)] = []
    shop: str = ""

    def order_lines(self) -> tuple[Line, ...]:
        """Return the lines that are told."""
        told = tuple(Line(line.product, line.category, line.quantity, line.yen) for line in self.lines)
        return told or tuple(Line(product) for product in dict.fromkeys(self.products))


class SourcedOrderBody(OrderBody, kw_only=True):
    """A purchase of a shop or till. source: whose number `order_no` is; all that name none share one row of numbers."""

    source: Annotated[str, msgspec.Meta(pattern="^([a-z][a-z0-9_-]{0,39})?$")] = ""


class LineView(View, kw_only=True):
    """One product of an order."""

    product: str
    category: str
    quantity: int
    yen: int


class OrderView(View, kw_only=True):
    """A purchase. source: the system whose number it is, empty where none was named."""

    order_no: str
    source: str
    ordered_at: datetime
    amount_yen: int
    products: list[str]
    lines: list[LineView]
    shop: str


class OrderList(View, kw_only=True):
    """Purchases, oldest first."""

    items: list[OrderView]


class OrderTaken(View, kw_only=True):
    """What an order came to."""

    order_no: str
    customer_id: str
    is_first: bool


@endpoint(
    "POST", "/orders", scope="orders:write", summary="注文を登録（同じ注文番号は1回だけ数えます） / Take an order, once",
    request=SourcedOrderBody, response=OrderTaken, status=201,
)  # fmt: skip
def take_order(call: Call[SourcedOrderBody]) -> OrderTaken:
    """Take an order."""
    given = call.body
    instant(given.ordered_at, InvalidError("order.time_malformed", field="ordered_at"))
    customer = call.world.customers.by_member_no(clean("member_no", given.member_no) or "-")
    number = numbered(given.source, given.order_no)
    order = Order(number, customer.cid, given.ordered_at, given.amount_yen, (), given.shop, given.order_lines())
    facts, (telling,) = call.world.orders.take([order])
    react(facts, call.world)  # of one that was told otherwise too: who entered it may have died before this
    if telling.problem:
        raise telling.problem
    return OrderTaken(order_no=given.order_no, customer_id=customer_id(customer.cid), is_first=facts[0].is_first)


@endpoint(
    "GET", "/customers/{customer_id}/orders", scope="orders:read", summary="顧客の注文 / Orders of a customer", response=OrderList
)
def list_orders(call: Call[None]) -> OrderList:
    """List orders."""
    orders = call.world.orders.all_of(cid_in(call))
    return OrderList(
        items=[
            OrderView(
                source=told_number(order.order_no)[0],
                order_no=told_number(order.order_no)[1],
                ordered_at=order.at,
                amount_yen=order.amount_yen,
                products=list(order.products),
                lines=[
                    LineView(product=one.product, category=one.category, quantity=one.quantity, yen=one.yen) for one in order.lines
                ],
                shop=order.shop,
            )
            for order in orders
        ]
    )


class Timeline(View, kw_only=True):
    """A page of what a person did, oldest first, under all numbers that are his."""

    items: list[dict[str, Any]]
    next_cursor: str | None


@endpoint(
    "GET", "/customers/{customer_id}/timeline", scope="customers:read", summary="行動履歴 / Timeline", response=Timeline,
    query=("cursor", "limit"),
)  # fmt: skip
def get_timeline(call: Call[None]) -> Timeline:
    """Return what a person did."""
    hidden = ("pk", "sk", "ttl")
    cid = cid_in(call)
    page = call.world.tracking.page([cid, *call.world.people.aliases(cid)], call.query.get("cursor"), call.size())
    items = [{name: value for name, value in item.items() if name not in hidden} for item in page.items]
    return Timeline(items=items, next_cursor=page.next_cursor)


class FriendView(View, kw_only=True):
    """A friend of a LINE account. customer_id: the person, member or not."""

    customer_id: str
    account: str
    line_user_id: str
    state: str
    state_at: datetime | None
    first_seen_at: datetime
    display_name: str
    picture_url: str
    language: str


def _friend(friend: Friend) -> FriendView:
    return FriendView(
        customer_id=customer_id(friend.cid),
        account=friend.account,
        line_user_id=friend.line_user_id,
        state=friend.state,
        state_at=friend.state_at,
        first_seen_at=friend.first_seen_at,
        display_name=friend.display_name,
        picture_url=friend.picture_url,
        language=friend.language,
    )


@endpoint(
    "GET", "/line-accounts/{key}/friends/{line_user_id}", scope="friends:read", response=FriendView,
    summary="友だち / One friend",
)  # fmt: skip
def get_friend(call: Call[None]) -> FriendView:
    """Return a friend."""
    return _friend(call.world.friends.get(AccountKey(call.path["key"]), LineUserId(call.path["line_user_id"])))


class LinkBody(Body, kw_only=True):
    """A member who has signed in at the company's site and came with LINE's link token."""

    account: str
    member_no: str
    link_token: str


class LinkView(View, kw_only=True):
    """Where to send the member's browser."""

    redirect_url: str


@endpoint(
    "POST", "/identity-links", scope="links:write", request=LinkBody, response=LinkView, status=201,
    summary="ID連携を始める（会員サイトのログイン後に呼びます） / Begin an identity link, after the member has signed in",
)  # fmt: skip
def request_identity_link(call: Call[LinkBody]) -> LinkView:
    """Begin an identity link."""
    given = call.body
    return LinkView(redirect_url=call.world.identity_links.request(given.account, given.member_no, given.link_token))


@endpoint(
    "DELETE", "/customers/{customer_id}/identity-links/{account}", scope="links:write", status=204,
    summary="ID連携を解除 / Undo an identity link",
)  # fmt: skip
def undo_identity_link(call: Call[None]) -> None:
    """Undo an identity link."""
    link = call.world.identity_links.of(cid_in(call), AccountKey(call.path["account"]))
    react(call.world.identity_links.undo(link), call.world)
