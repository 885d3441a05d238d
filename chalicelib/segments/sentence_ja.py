"""Conditions in Japanese; see sentence.py."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from chalicelib.segments.expression import (
    ENTRY,
    All,
    AnyOf,
    DateBetween,
    DaysAgo,
    Delivered,
    Expression,
    FieldBetween,
    FieldIs,
    HasActed,
    HasHappened,
    HasOrdered,
    HasReacted,
    HasReceived,
    HasResponded,
    HasTag,
    InDays,
    InScenario,
    InSegment,
    Not,
    Span,
)
from chalicelib.segments.sentence_words import ACTS, DATES, DONE, EVIDENCE, FIELDS, FLAGS, GENDERS, STATES, UNITS, number, quoted

Name = Callable[[str, str], str]
# Only names that show what they are can stand before a person without saying whether a prefecture or a city is meant.
_PLACES = {
    "profile.prefecture": re.compile(r"[一-龠々ぁ-んァ-ヶ]{1,6}[都道府県]\Z"),
    "profile.city": re.compile(r"[一-龠々ぁ-んァ-ヶ]{1,10}[市区町村]\Z"),
}
_DECADE = 10
_NEVER = Span(None, 0)


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is true of people: before 人, its opposite, and both before a further phrase."""

    yes: str
    no: str
    yes_and: str
    no_and: str

    def turned(self) -> Phrase:
        """Return the opposite."""
        return Phrase(self.no, self.yes, self.no_and, self.yes_and)


def japanese(expression: Expression, name: Name) -> str:
    """Return whom a condition (sentence.simplified) means, as a noun."""
    match expression:
        case All(()):
            return "すべての人"
        case AnyOf(()):
            return "だれも当てはまらない条件の人"
        case AnyOf(parts):
            return "、または".join(japanese(part, name) for part in parts)
        case All(parts):
            return _together(parts, name)
        case _:
            return _together((expression,), name)


def _together(parts: Sequence[Expression], name: Name) -> str:
    """Return who fulfils every part: 「札幌市の30代女性で、…していて、…した人」."""
    head, rest = _head(parts)
    phrases = [_phrase(part, name) for part in rest]
    if not phrases:
        return head
    text = "".join(f"{phrase.yes_and}、" for phrase in phrases[:-1]) + phrases[-1].yes + "人"
    return f"{head}で、{text}" if head else text


def _head(parts: Sequence[Expression]) -> tuple[str, list[Expression]]:
    """Return where people live, how old and of which sex they are as one noun, and the parts that are left."""
    words: dict[str, str] = {}
    rest: list[Expression] = []
    for part in parts:
        kind, word = _noun(part)
        if kind and kind not in words:
            words[kind] = word
        else:
            rest.append(part)
    place = words.get("profile.prefecture", "") + words.get("profile.city", "")
    who = words.get("age", "") + words.get("gender", "")
    if not words:
        return "", rest
    if "gender" not in words and (not who or not rest):
        who += "の人" if who else "人"
    return f"{place}の{who}" if place else who, rest


def _noun(part: Expression) -> tuple[str, str]:
    """Return what a part says as a piece of a noun, and of which kind; "" when it does not."""
    match part:
        case FieldIs("profile.gender", (str(word),)) if word in GENDERS:
            return "gender", GENDERS[word][0]
        case FieldIs("profile.age", (value,)) if _is_number(value):
            return "age", f"{number(value)}歳"
        case FieldBetween("profile.age", low, high):
            return "age", _age(low, high)
        case FieldIs("profile.prefecture" | "profile.city" as field, values) if values:
            if all(isinstance(value, str) and _PLACES[field].match(value) for value in values):
                return field, "・".join(values)
    return "", ""


def _age(low: float | None, high: float | None) -> str:
    if low is not None and high is not None and low >= _DECADE and low % _DECADE == 0 and high == low + _DECADE - 1:
        return f"{number(low)}代"
    return _range(low, high, "歳")


def _phrase(part: Expression, name: Name) -> Phrase:
    match part:
        case Not(inner):
            return _phrase(inner, name).turned()
        case All(()):
            return Phrase("だれにでも当てはまる", "だれにも当てはまらない", "だれにでも当てはまり", "だれにも当てはまらず")
        case AnyOf(()):
            return _phrase(All(()), name).turned()
        case All() | AnyOf():
            return _ends(f"（{japanese(part, name)}）に", "当てはまる", "当てはまらない", "当てはまり", "当てはまらず")
        case InSegment(segment_id):
            return _ends(
                f"セグメント{_q(name('segment', segment_id))}に", "入っている", "入っていない", "入っていて", "入っておらず"
            )
        case HasTag(tag_id):
            return _ends(f"タグ{_q(name('tag', tag_id))}が", "付いている", "付いていない", "付いていて", "付いておらず")
        case FieldIs(field, values):
            return _field_is(field, values)
        case FieldBetween(field, low, high):
            return _is(f"{_field(field)}が{_range(low, high, UNITS.get(field, ('', ''))[0])}")
        case DaysAgo(date, least, most):
            return _days_ago(date, least, most)
        case InDays(date, days, yearly):
            return _is(f"{_date(date)}{'の記念日が' if yearly else 'が'}ちょうど{_ahead(days)}")
        case DateBetween(date, first, last):
            return _is(f"{_date(date)}が{_between(first, last)}")
        case HasOrdered():
            return _ordered(part)
        case HasActed():
            return _acted(part, name)
        case HasReceived(what):
            return _ends(f"{_delivered(what, name)}を受け取", "った", "っていない", "っていて", "っておらず")
        case HasReacted(what, link, least):
            return _did(f"{EVIDENCE[least][0]}{_delivered(what, name)}{_link(link, name)}に反応")
        case InScenario(scenario_id, state, outcome):
            ending = f"（結果は{_q(outcome)}）" if outcome else ""
            return _ends(f"シナリオ{_q(name('scenario', scenario_id))}{ending}", *STATES[state][0])
        case HasResponded(of, link, least):
            return _did(f"{EVIDENCE[least][0]}このシナリオの配信{_q(of) if of else ''}{_link(link, name)}に反応")
        case HasHappened(key, since):
            return _happened(key, since)
        case _:
            assert_never(part)


def _field_is(field: str, values: tuple[Any, ...]) -> Phrase:
    match values:
        case (bool(value),) if field in FLAGS:
            phrase = Phrase(*FLAGS[field][0])
            return phrase if value else phrase.turned()
        case (str(value),) if field == "profile.gender" and value in GENDERS:
            return _is(GENDERS[value][0])
        case ():
            return _is(f"{_field(field)}が（値なし）のどれか")
        case (value,):
            return _is(f"{_field(field)}が{_value(value)}")
        case _:
            return _is(f"{_field(field)}が{'、'.join(map(_value, values))}のどれか")


def _days_ago(date: str, least: int | None, most: int | None) -> Phrase:
    if least is None and date in DONE:
        return _ends(f"{most}日以内に", *DONE[date][0])
    if least is None:
        return _is(f"{_date(date)}が{most}日以内")
    return _is(f"{_date(date)}が{least}日以上前" if most is None else f"{_date(date)}が{least}日前から{most}日前まで")


def _ordered(asked: HasOrdered) -> Phrase:
    which = {"": "", "first": "初回の購入で、", "last": "最後の購入で、"}[asked.which]
    shop = f"{_q(asked.shop)}で" if asked.shop else ""
    category = f"カテゴリ{_q(asked.category)}の" if asked.category else ""
    product = f"{_q(asked.product)}を" if asked.product else "商品を" if category else ""
    amount = "" if asked.amount == Span() else f"1回あたり{_range(asked.amount.low, asked.amount.high, '円')}"
    total = "" if asked.total == Span() else f"合計{_range(asked.total.low, asked.total.high, '円')}"
    often = _often(asked.count, goes_without_saying=not total and bool(which or shop or product or amount))
    return _never_or(
        asked.count,
        _did(
            f"{which}{_when(asked.days)}{shop}{product and category + product}{'、'.join(filter(None, (amount, often, total)))}購入"
        ),
    )


def _acted(asked: HasActed, name: Name) -> Phrase:
    stem, endings, _ = ACTS[asked.kind]
    data = "".join(f"{_q(key)}が{_q(value)}の" for key, value in asked.data)
    named = f"{_q(asked.name)}の" if asked.name else ""
    link = f"計測リンク{_q(name('link', asked.link))}の" if asked.link else ""
    if asked.link and asked.kind == "clicked":
        link, stem = link[:-1] + "を", "タップ"
    often = _often(asked.count)
    return _never_or(asked.count, _ends(f"{_when(asked.days)}{EVIDENCE[asked.least][0]}{often}{data}{named}{link}{stem}", *endings))


def _happened(key: str, since: str) -> Phrase:
    event, _, detail = (key, "", "") if key in ACTS else key.rpartition("_")
    stem, endings, _ = ACTS[event]
    which = f"（条件 {detail}）" if detail else ""
    after = "このシナリオに入ってから" if since == ENTRY else f"このシナリオの{_q(since)}のあとに"
    return _ends(f"{after}{which}{stem}", *endings)


def _delivered(what: Delivered, name: Name) -> str:
    if what.kind == "cmp":
        return f"一斉配信{_q(name('campaign', what.id))}"
    scenario = f"シナリオ{_q(name('scenario', what.id))}"
    return f"{scenario}のステップ{_q(what.node)}" if what.node else f"{scenario}の配信"


def _link(link: str, name: Name) -> str:
    return f"のリンク{_q(name('link', link))}" if link else ""


def _never_or(count: Span, phrase: Phrase) -> Phrase:
    return phrase.turned() if count == _NEVER else phrase


def _often(count: Span, *, goes_without_saying: bool = True) -> str:
    """Return how often, with "once or more" only where it does not go without saying."""
    if count == _NEVER:
        return "一度も"
    if count == Span(1) and goes_without_saying:
        return ""
    return "" if count == Span() else _range(count.low, count.high, "回")


def _when(days: Span) -> str:
    match days:
        case Span(None, None):
            return ""
        case Span(0, most) if most is not None:
            return f"{number(most)}日以内に"
        case Span(least, None) if least is not None:
            return f"{number(least)}日以上前に"
        case _:
            return f"{_range(days.low, days.high, '日')}前に"


def _ahead(days: int) -> str:
    return "今日" if days == 0 else f"{days}日後" if days > 0 else f"{-days}日前"


def _between(first: dt.date | None, last: dt.date | None) -> str:
    return "、".join(f"{day.year}年{day.month}月{day.day}日{word}" for day, word in ((first, "以降"), (last, "以前")) if day)


def _range(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return f"{number(low)}{unit}以上" if low is not None else f"{number(high)}{unit}以下" if high is not None else "いくつでも"
    return f"{number(low)}〜{number(high)}{unit}"


def _field(field: str) -> str:
    return FIELDS[field][0] if field in FIELDS else f"友だち情報{_q(field.partition('.')[2])}"


def _date(date: str) -> str:
    return DATES[date][0] if date in DATES else f"友だち情報{_q(date.partition('.')[2])}の日付"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "はい" if value else "いいえ"
    return number(value) if _is_number(value) else _q(str(value))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _q(text: str) -> str:
    return quoted(text, "「」") if text else "（空欄）"


def _ends(stem: str, *endings: str) -> Phrase:
    return Phrase(*(stem + ending for ending in endings))


def _is(stem: str) -> Phrase:
    return _ends(stem, "である", "でない", "で", "でなく")


def _did(stem: str) -> Phrase:
    return _ends(stem, "した", "していない", "していて", "しておらず")
