"""Say any condition in a sentence, Japanese and English: 「札幌市の30代女性で、90日以内に購入していない人」; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.segments.expression import All, AnyOf, Expression, Not
from chalicelib.segments.sentence_en import english
from chalicelib.segments.sentence_ja import japanese

# Returns the name of a `tag`, `link`, `campaign`, `scenario` or `segment` by its id, "" when nobody knows it.
Names = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One thing said twice."""

    ja: str
    en: str


def describe(expression: Expression, names: Names = lambda _kind, _name: "") -> Sentence:
    """Return whom a condition means. What has no name is told by its id. Two leaves that differ differ in their sentences too."""

    def name(kind: str, known_as: str) -> str:
        return names(kind, known_as) or known_as

    plain = simplified(expression)
    return Sentence(japanese(plain, name), english(plain, name))


def simplified(expression: Expression) -> Expression:
    """Return the same condition without what says nothing: groups of one, groups within groups of their kind, `not` twice."""
    match expression:
        case All(parts):
            inner = tuple(
                part for group in map(simplified, parts) for part in (group.parts if isinstance(group, All) else (group,))
            )
            return inner[0] if len(inner) == 1 else All(inner)
        case AnyOf(parts):
            inner = tuple(
                part for group in map(simplified, parts) for part in (group.parts if isinstance(group, AnyOf) else (group,))
            )
            return inner[0] if len(inner) == 1 else AnyOf(inner)
        case Not(part):
            simple = simplified(part)
            return simple.part if isinstance(simple, Not) else Not(simple)
        case _:
            return expression
