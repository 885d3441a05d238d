"""Invented people of a shop in Sapporo: names, addresses, orders; the same for the same seed. Any likeness is chance."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.kernel.windows import JST

_FAMILY = (
    ("佐藤", "サトウ"), ("鈴木", "スズキ"), ("高橋", "タカハシ"), ("田中", "タナカ"), ("伊藤", "イトウ"), ("渡辺", "ワタナベ"),
    ("山本", "ヤマモト"), ("中村", "ナカムラ"), ("小林", "コバヤシ"), ("加藤", "カトウ"), ("吉田", "ヨシダ"), ("山田", "ヤマダ"),
    ("佐々木", "ササキ"), ("松本", "マツモト"), ("井上", "イノウエ"), ("木村", "キムラ"), ("林", "ハヤシ"), ("斎藤", "サイトウ"),
    ("清水", "シミズ"), ("髙𣘺", "タカハシ"),
)  # fmt: skip
_GIVEN = (
    ("花子", "ハナコ", "female"), ("美咲", "ミサキ", "female"), ("陽菜", "ヒナ", "female"), ("さくら", "サクラ", "female"),
    ("結衣", "ユイ", "female"), ("葵", "アオイ", "female"), ("千尋", "チヒロ", "female"), ("直美", "ナオミ", "female"),
    ("太郎", "タロウ", "male"), ("翔太", "ショウタ", "male"), ("健一", "ケンイチ", "male"), ("大輔", "ダイスケ", "male"),
)  # fmt: skip
_TOWNS = (
    ("060-0001", "北海道", "札幌市中央区", "北一条西{n}丁目1-{m}"), ("001-0010", "北海道", "札幌市北区", "北十条西{n}丁目2-{m}"),
    ("047-0031", "北海道", "小樽市", "色内{n}丁目3-{m}"), ("150-0001", "東京都", "渋谷区", "神宮前{n}-4-{m}"),
)  # fmt: skip
PRODUCTS = ("ピアスA", "ピアスB", "ネックレス", "リング", "ギフトセット")
SHOPS = ("札幌本店", "小樽店", "オンライン")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the shop and how he can be reached. orders: (number, when, yen, product, shop)."""

    member_no: str
    name: str
    kana: str
    gender: str
    birthday: str
    email: str
    phone: str
    address: tuple[str, str, str, str]
    orders: list[tuple[str, datetime, int, str, str]] = field(default_factory=list)

    @property
    def last_order_at(self) -> datetime:
        """When he last bought."""
        return max(order[1] for order in self.orders)


def members(rng: random.Random, count: int, now: datetime, *, dormant_share: float = 0.5) -> list[Member]:
    """Return members with a past: some have not bought for more than 90 days, the others have lately."""
    found = []
    for number in range(1, count + 1):
        family, given = rng.choice(_FAMILY), rng.choice(_GIVEN)
        town = rng.choice(_TOWNS)
        has_phone, has_address = rng.random() < 0.6, rng.random() < 0.7
        street = town[3].format(n=rng.randint(1, 9), m=rng.randint(1, 30))
        member = Member(
            member_no=f"M{number:05d}",
            name=f"{family[0]}{given[0]}",
            kana=f"{family[1]}{given[1]}",
            gender=given[2],
            birthday=f"{rng.randint(1955, 2005)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}",
            email=f"member{number:05d}@example.jp" if rng.random() < 0.9 else "",
            phone=f"090-{rng.randint(1000, 9999)}-{number:04d}" if has_phone else "",
            address=(town[0], town[1], town[2], street) if has_address else ("", "", "", ""),
        )
        is_dormant = rng.random() < dormant_share
        for turn in range(rng.randint(1, 4)):
            days = rng.randint(95, 300) if is_dormant else rng.randint(5, 60)
            at = now - timedelta(days=days, hours=rng.randint(0, 9))
            yen = rng.randrange(1980, 30_000, 20)
            member.orders.append((f"D{number:05d}-{turn}", at, yen, rng.choice(PRODUCTS), rng.choice(SHOPS)))
        found.append(member)
    return found


def customers_csv(people: Iterable[Member]) -> bytes:
    """Return the members as a shop's system would export them: Japanese headings, Shift_JIS, CRLF.

    A character that Shift_JIS lacks is written as 〓, as such systems do.
    """
    rows = [
        [
            "会員番号",
            "氏名",
            "フリガナ",
            "性別",
            "生年月日",
            "メールアドレス",
            "電話番号",
            "郵便番号",
            "都道府県",
            "市区町村",
            "番地",
        ]
    ]
    for one in people:
        rows.append([one.member_no, one.name, one.kana, one.gender, one.birthday, one.email, one.phone, *one.address])
    text = _csv(rows)
    return "".join(char if fits(char) else "〓" for char in text).encode("cp932")


def orders_csv(people: Iterable[Member]) -> bytes:
    """Return the orders as UTF-8 with a byte order mark."""
    rows = [["注文番号", "会員番号", "注文日時", "金額", "商品", "店舗"]]
    for one in people:
        for number, at, yen, product, shop in one.orders:
            rows.append([number, one.member_no, f"{at.astimezone(JST):%Y-%m-%d %H:%M}", f"{yen:,}円", product, shop])
    return _csv(rows).encode("utf-8-sig")


def _csv(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def fits(char: str) -> bool:
    """Say whether Shift_JIS, as Windows writes it, has a character."""
    try:
        char.encode("cp932")
    except UnicodeEncodeError:
        return False
    return True
