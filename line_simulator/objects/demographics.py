"""What LINE believes of people: gender, age, region, phone. Names as in messaging-api.yml and insight.yml."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from line_simulator.exchange import SimulatorError

GENDERS: Final = ("male", "female")
APPS: Final = ("ios", "android", "pc")
APP_TYPES: Final = ("ios", "android")
AGE_STEPS: Final = tuple(range(15, 75, 5))
PERIOD_DAYS: Final = (7, 30, 90, 180, 365)

# English name (AreaDemographic in messaging-api.yml) and the label of the insight (Get friend demographics), in the
# order of the codes jp_01, jp_02, … Labels of Indonesia are not documented; LINE lists none there.
_JP = (
    "hokkaido:北海道 aomori:青森 iwate:岩手 miyagi:宮城 akita:秋田 yamagata:山形 fukushima:福島 ibaraki:茨城 tochigi:栃木 "
    "gunma:群馬 saitama:埼玉 chiba:千葉 tokyo:東京 kanagawa:神奈川 niigata:新潟 toyama:富山 ishikawa:石川 fukui:福井 "
    "yamanashi:山梨 nagano:長野 gifu:岐阜 shizuoka:静岡 aichi:愛知 mie:三重 shiga:滋賀 kyoto:京都 osaka:大阪 hyougo:兵庫 "
    "nara:奈良 wakayama:和歌山 tottori:鳥取 shimane:島根 okayama:岡山 hiroshima:広島 yamaguchi:山口 tokushima:徳島 "
    "kagawa:香川 ehime:愛媛 kouchi:高知 fukuoka:福岡 saga:佐賀 nagasaki:長崎 kumamoto:熊本 oita:大分 miyazaki:宮崎 "
    "kagoshima:鹿児島 okinawa:沖縄"
)
_TW = (
    "taipei_city:台北市 new_taipei_city:新北市 taoyuan_city:桃園市 taichung_city:台中市 tainan_city:台南市 "
    "kaohsiung_city:高雄市 keelung_city:基隆市 hsinchu_city:新竹市 chiayi_city:嘉義市 hsinchu_county:新竹縣 "
    "miaoli_county:苗栗縣 changhua_county:彰化縣 nantou_county:南投縣 yunlin_county:雲林縣 chiayi_county:嘉義縣 "
    "pingtung_county:屏東縣 yilan_county:宜蘭縣 hualien_county:花蓮縣 taitung_county:台東縣 penghu_county:澎湖縣 "
    "kinmen_county:金門縣 lienchiang_county:連江縣"
)
_TH = (
    "bangkok:Bangkok pattaya:Pattaya northern:Northern central:Central southern:Southern eastern:Eastern "
    "northeastern:NorthEastern western:Western"
)
_ID = (
    "bali:Bali bandung:Bandung banjarmasin:Banjarmasin jabodetabek:Jabodetabek lainnya:Lainnya makassar:Makassar medan:Medan "
    "palembang:Palembang samarinda:Samarinda semarang:Semarang surabaya:Surabaya yogyakarta:Yogyakarta"
)


def _areas() -> Iterator[tuple[str, str, str]]:
    for country, words in (("jp", _JP), ("tw", _TW), ("th", _TH), ("id", _ID)):
        for number, word in enumerate(words.split(), 1):
            name, _, label = word.partition(":")
            yield f"{country}_{number:02d}", name, label


AREA_LABELS: Final[dict[str, str]] = {code: label for code, _, label in _areas()}
_AREA_CODES: Final[dict[str, str]] = {
    **{name: code for code, name, _ in _areas()},
    **{label: code for code, _, label in _areas()},
}
# Inhabitants of the 47 prefectures in tens of thousands (estimate of 2023), so that a crowd looks like Japan.
_INHABITANTS: Final = (
    *(509, 118, 116, 226, 91, 103, 177, 283, 190, 190, 733, 626, 1409, 923, 213, 101, 111, 74, 80, 200, 193, 356, 748),
    *(173, 141, 254, 876, 537, 130, 89, 54, 65, 185, 274, 130, 70, 93, 129, 67, 510, 79, 127, 171, 110, 104, 155, 147),
)
_AGE_WEIGHTS: Final = (3, 7, 10, 11, 10, 10, 10, 11, 10, 8, 5, 3, 2)


def area_code(name: str) -> str:
    """Return the code of a region given as jp_13, tokyo, 東京 or 東京都. Raises SimulatorError for an unknown one."""
    if name in AREA_LABELS:
        return name
    found = _AREA_CODES.get(name.lower()) or _AREA_CODES.get(name) or _AREA_CODES.get(name[:-1])
    if found is None:
        raise SimulatorError(f"There is no region {name!r}; write for example jp_13, tokyo or 東京.")
    return found


def settle_attributes(attributes: dict[str, Any]) -> None:
    """Check gender, age, area and app among a person's attributes and give the area as its code. Raises SimulatorError."""
    if attributes.get("gender", "") not in ("", *GENDERS):
        raise SimulatorError(f"A gender is male, female or empty, not {attributes['gender']!r}.")
    if attributes.get("app", "ios") not in APPS:
        raise SimulatorError(f"An app is ios, android or pc, not {attributes['app']!r}.")
    age = attributes.get("age", 0)
    if isinstance(age, bool) or not 0 <= age <= 130:
        raise SimulatorError(f"An age is a number from 0 to 130, not {age!r}.")
    if attributes.get("area"):
        attributes["area"] = area_code(attributes["area"])


def crowd_attributes(count: int, source: random.Random) -> Iterator[tuple[str, int | None, str, str]]:
    """Yield gender, age, area and app of `count` people as LINE might estimate them in Japan; one in eight stays unknown."""
    codes = [code for code in AREA_LABELS if code.startswith("jp")]
    bands = [10, *AGE_STEPS]
    genders = source.choices(GENDERS, (47, 53), k=count)
    ages = source.choices(bands, _AGE_WEIGHTS, k=count)
    areas = source.choices(codes, _INHABITANTS, k=count)
    apps = source.choices(APPS, (58, 39, 3), k=count)
    known = source.choices((True, False), (7, 1), k=count)
    for index in range(count):
        if known[index]:
            yield genders[index], ages[index] + int(source.random() * 5), areas[index], apps[index]
        else:
            yield "", None, "", apps[index]
