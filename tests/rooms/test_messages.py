from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.messages.service import Messages
from tests.builders import Stage
from tests.rooms.crashes import every_intrusion


def line(text: str) -> dict[str, Any]:
    return {"messages": [{"type": "text", "text": text}]}


def test_a_template_comes_back_as_it_was_written(stage: Stage) -> None:
    content = line("{{name|お客様}}さん {{link.sale}} {{attribute.rank}}")
    template = stage.world.messages.create("挨拶", DeliveryChannel.LINE, content, "tpl_hello")
    assert stage.world.messages.get("tpl_hello") == template
    assert template.content == content
    assert (template.version, template.links, template.is_personal) == (1, {"sale"}, True)
    assert stage.world.messages.everyone() == [template]


def test_an_id_is_taken_once(stage: Stage) -> None:
    stage.template("tpl_hello")
    with pytest.raises(ConflictError, match="template.taken"):
        stage.world.messages.create("別", DeliveryChannel.LINE, line("別"), "tpl_hello")
    first, second = (stage.world.messages.create("同名", DeliveryChannel.LINE, line("x")) for _ in range(2))
    assert first.template_id != second.template_id


@pytest.mark.parametrize("template_id", ["hello", "tpl_", "tpl_a b", "tpl_é", "tpl_" + "x" * 41, "tpl_a\n"])
def test_a_malformed_id_is_refused(stage: Stage, template_id: str) -> None:
    with pytest.raises(InvalidError, match="template.id_malformed"):
        stage.world.messages.create("x", DeliveryChannel.LINE, line("x"), template_id)


@pytest.mark.parametrize("template_id", ["", "x" * 2000, "tpl_unknown"])
def test_an_unknown_template_is_unknown(stage: Stage, template_id: str) -> None:
    for ask in (stage.world.messages.get, stage.world.messages.delete):
        with pytest.raises(NotFoundError, match="template.unknown"):
            ask(template_id)


def test_what_the_channel_will_not_take_is_refused_with_every_problem(stage: Stage) -> None:
    with pytest.raises(InvalidError, match="template.invalid") as caught:
        stage.world.messages.create("x", DeliveryChannel.LINE, line("{{nmae}} {{cid}} " + "長" * 5001))
    codes = [problem["code"] for problem in caught.value.details["problems"]]
    assert codes.count("unknown_placeholder") == 2
    assert len(codes) > 2
    with pytest.raises(InvalidError, match="template.name_empty"):
        stage.world.messages.create(" ", DeliveryChannel.LINE, line("x"))
    assert stage.world.messages.everyone() == []


def test_a_change_is_a_new_version_that_goes_out_at_once(stage: Stage) -> None:
    stage.template("tpl_hello", "旧")
    changed = stage.world.messages.change("tpl_hello", "新", line("新"))
    assert (changed.version, changed.name) == (2, "新")
    assert stage.world.messages.get("tpl_hello") == changed
    with pytest.raises(InvalidError, match="template.invalid"):
        stage.world.messages.change("tpl_hello", "新", {"messages": []})
    assert stage.world.messages.get("tpl_hello") == changed


def test_a_correction_elsewhere_is_seen_within_five_seconds(stage: Stage) -> None:
    now = 0.0
    elsewhere = Messages(stage.clock, monotonic=lambda: now)
    stage.template("tpl_hello", "旧")
    assert elsewhere.get("tpl_hello").version == 1
    stage.world.messages.change("tpl_hello", "新", line("新"))
    assert elsewhere.get("tpl_hello").version == 1
    now = 5.0
    assert elsewhere.get("tpl_hello").version == 2


def test_a_change_may_follow_a_change_that_was_made_elsewhere_a_moment_ago(stage: Stage) -> None:
    elsewhere = Messages(stage.clock)
    stage.template("tpl_hello", "旧")
    elsewhere.get("tpl_hello")
    stage.world.messages.change("tpl_hello", "新", line("新"))
    assert elsewhere.change("tpl_hello", "更新", line("更新")).version == 3


def test_of_two_who_change_at_once_one_is_told(stage: Stage) -> None:
    told: dict[int, int] = {}

    def scene(number: int):
        stage.template(f"tpl_{number}", "旧")
        told[number] = 0

        def act() -> None:
            try:
                stage.world.messages.change(f"tpl_{number}", "甲", line("甲"))
            except ConflictError:
                told[number] += 1

        return act

    def rival(number: int):
        return lambda: Messages(stage.clock).change(f"tpl_{number}", "乙", line("乙"))

    for number, _, _ in every_intrusion(scene, rival):
        template = Messages(stage.clock).get(f"tpl_{number}")
        assert template.version == 3 - told[number]
        assert told[number] == 0 or template.name == "乙"


def test_a_deleted_template_is_gone(stage: Stage) -> None:
    stage.template("tpl_hello")
    stage.world.messages.delete("tpl_hello")
    assert stage.world.messages.everyone() == []
    with pytest.raises(NotFoundError):
        stage.world.messages.get("tpl_hello")
    stage.template("tpl_hello")
