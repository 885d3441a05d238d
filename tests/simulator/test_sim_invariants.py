"""The invariants hold in ordinary use, and fail when the simulator is broken on purpose."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from line_simulator import Channel, LineSimulator, Person

KEY = str(uuid.UUID(int=9))


def test_ordinary_use_is_sound(api: Any, line: LineSimulator, hanako: Person, taro: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop), key=KEY)
    api.push(hanako.user_id(shop), key=KEY)
    api.multicast([hanako.user_id(shop), taro.user_id(shop)], "別")
    hanako.block(shop)
    api.push(hanako.user_id(shop), "後")
    verdict = line.invariants(unique_content=True)
    assert (verdict.ok, verdict.broken, verdict.delivered) == (True, (), 2)


def test_a_forgotten_retry_key_is_found(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop), key=KEY)
    line.world.state.retries.clear()
    api.push(hanako.user_id(shop), key=KEY)
    (sentence,) = line.invariants().broken
    assert f"retry key {KEY} of 花屋 2 times" in sentence


def test_a_delivery_to_someone_who_blocked_is_found(
    api: Any, line: LineSimulator, hanako: Person, taro: Person, shop: Channel
) -> None:
    api.push(hanako.user_id(shop))
    sending = (shop.chats[hanako.user_id(shop)].inbox or [])[0]
    shop.chats[taro.user_id(shop)].inbox = [sending]
    broken = " ".join(line.invariants().broken)
    assert "had blocked the account" in broken
    assert "1 of its quota" in broken


def test_a_delivery_to_a_stranger_is_found(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop))
    sending = (shop.chats[hanako.user_id(shop)].inbox or [])[0]
    shop.chat("U" + "1" * 32).inbox = [sending]
    assert any("was no friend" in sentence for sentence in line.invariants().broken)


def test_wrong_quota_is_found(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop))
    shop.used = {month: 5 for month in shop.used}
    (sentence,) = line.invariants().broken
    assert "used 5 of its quota" in sentence
    assert "1 were delivered" in sentence


def test_equal_content_counts_only_when_asked(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    for _ in range(2):
        api.push(hanako.user_id(shop), "同じ")
    assert line.invariants().ok
    assert len(line.invariants().repeated) == 1
    assert not line.invariants(unique_content=True).ok


def test_a_second_copy_of_one_sending_is_found(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop), key=KEY)
    inbox = shop.chats[hanako.user_id(shop)].inbox or []
    inbox.append(replace(inbox[0], request_id="again"))
    assert not line.invariants().ok
