"""A drawing as people write it: YAML with nothing in it that reads otherwise than it looks.

YAML 1.1 takes `on` and `no` for booleans, 10:00 for 600 and 012 for ten. Here a plain word is text unless it is a JSON number,
`true`, `false`, `null` or `~`; keys are always text, no key stands twice, and there are no anchors.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

from chalicelib.kernel.errors import InvalidError

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z")
_BREAKS = re.compile("[\x85\u2028\u2029]")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_WIDTH = 120
_MOST = 100_000  # characters; the largest drawing has half of them, and reading takes 20 seconds a megabyte
# What PyYAML takes plain words for; we look at the words themselves. Any other tag was written.
_TAGS = {"map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value"}


class _Mistake(yaml.MarkedYAMLError):  # type: ignore[misc, unused-ignore]
    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


def read(text: str) -> Any:
    """Return the JSON value of a YAML text. Raises InvalidError(`scenario.yaml_malformed`) with line and column."""
    if len(text) > _MOST:
        raise _refusal(text, _MOST, f"more than {_MOST} characters")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else _value(node, set())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = str(error.problem or error.context)
        raise _refusal(text, mark.index if mark else 0, problem) from error
    except yaml.reader.ReaderError as error:
        raise _refusal(text, int(error.position), "a character that cannot be written") from error
    except RecursionError as error:
        raise _refusal(text, 0, "nested without end") from error


def _refusal(text: str, index: int, problem: str) -> InvalidError:
    before = text[:index]
    line, column = before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1
    return InvalidError("scenario.yaml_malformed", line=line, column=column, problem=problem)


def _value(node: yaml.Node, seen: set[int]) -> Any:
    if id(node) in seen:  # an alias is the same node again
        raise _Mistake("anchors are not taken, write it out", node.start_mark)
    seen.add(id(node))
    if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
        raise _Mistake("tags are not taken", node.start_mark)
    match node:
        case yaml.MappingNode():
            return _mapping(node, seen)
        case yaml.SequenceNode():
            return [_value(part, seen) for part in node.value]
        case _:
            return _scalar(node)


def _mapping(node: yaml.MappingNode, seen: set[int]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Mistake("a key must be a word", key.start_mark)
        if key.value in made:
            raise _Mistake(f"{key.value[:50]} stands twice", key.start_mark)
        made[_text(key)] = _value(value, seen)
    return made


def _scalar(node: yaml.ScalarNode) -> Any:
    if node.style is not None:  # quoted, or a block
        return _text(node)
    if node.value in _WORDS:
        return _WORDS[node.value]
    if _INTEGER.match(node.value):
        return int(node.value)
    if _NUMBER.match(node.value):
        number = float(node.value)
        if not math.isfinite(number):
            raise _Mistake("a number out of range", node.start_mark)
        return number
    return _text(node)


def _text(node: yaml.ScalarNode) -> str:
    text = str(node.value)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _Mistake("half a character", node.start_mark) from error
    return text


class _Dumper(yaml.SafeDumper):  # type: ignore[misc, unused-ignore]
    """Quotes what YAML 1.1 or our own reader would take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class gives it
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # In other quotes these line breaks would be folded into spaces.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _BREAKS.search(text) else None)


_Dumper.add_representer(str, _quoted)
# Numbers like 1e5, which YAML 1.1 reads as text.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-0123456789"))


def write(value: Any) -> str:
    """Return a JSON value as YAML in blocks, in its own order, with Japanese as it is."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH, default_flow_style=False))
