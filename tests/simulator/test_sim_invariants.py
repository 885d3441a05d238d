"""The invariants hold in ordinary use, and fail when the simulator is broken on purpose."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from line_simulator import Channel, Habits, LineSimulator, Person
from line_simulator.world.narrowcast_book import NarrowcastBook

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
    assert "used 1 of its quota" in broken


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


def test_a_reply_token_that_worked_twice_is_found(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    token, known = next(iter(line.world.state.reply_tokens.items()))
    api.reply(token, "一")
    assert line.invariants().ok
    known.used = False
    api.reply(token, "二")
    (sentence,) = line.invariants().broken
    requests = [one.request_id for one in hanako.inbox(shop)]
    assert sentence == f"{hanako.user_id(shop)} received 2 replies of 花屋 with one reply token (requests {', '.join(requests)})."


def test_a_reply_with_the_token_of_another_account_is_found(
    api: Any, line: LineSimulator, hanako: Person, shop: Channel, caller: Any
) -> None:
    other = line.channel("魚屋")
    hanako.follow(other)
    mine, others = list(line.world.state.reply_tokens.items())[:: len(line.world.state.reply_tokens) - 1]
    caller(line, other).reply(others[0])
    others[1].channel_id = shop.id
    (sentence,) = line.invariants().broken
    assert "with the reply token of another" in sentence


def test_wrong_daily_counts_are_found(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop))
    ((key, _),) = shop.sent.items()
    shop.sent[key] = 7
    (sentence,) = line.invariants().broken
    assert sentence == f"花屋 counts 7 deliveries for {key}, but chats hold 1."


def narrowcast(api: Any, line: LineSimulator, shop: Channel) -> Any:
    line.crowd(60, shop)
    shop.monthly_limit = 1000
    status, _, _ = api("POST", "/v2/bot/message/narrowcast", {"messages": [{"type": "text", "text": "絞る"}]})
    assert status == 202
    return next(iter(line.world.part(NarrowcastBook).narrowcasts.values()))


def test_reservations_that_do_not_add_up_are_found(api: Any, line: LineSimulator, shop: Channel) -> None:
    running = narrowcast(api, line, shop)
    assert line.invariants().ok
    shop.reserved[running.month] += 5
    (sentence,) = line.invariants().broken
    assert "but its narrowcasts hold" in sentence
    shop.reserved[running.month] -= 5
    line.clock.advance(60)
    assert (line.invariants().broken, line.invariants().delivered) == ((), 60)
    running.success = 61
    (sentence,) = line.invariants().broken
    assert sentence == f"Narrowcast {running.request_id} of 花屋 tells of 61 deliveries, but 60 chats hold it."
    running.success, running.reserved, shop.reserved = 60, 3, {running.month: 3}
    (sentence,) = line.invariants().broken
    assert "is over but still reserves 3 messages" in sentence


def test_groups_count_each_member_once(api: Any, line: LineSimulator, hanako: Person, taro: Person, shop: Channel) -> None:
    group = line.group("家族", [hanako, taro], shop)
    for _ in range(2):
        api.push(group.id, "みなさん", KEY)
    assert (line.invariants().broken, line.invariants().delivered) == ((), 2)
    line.world.state.retries.clear()
    api.push(group.id, "みなさん", KEY)
    assert sum(KEY in sentence for sentence in line.invariants().broken) == 2
    shop.used = {month: used - 1 for month, used in shop.used.items()}
    assert any("used 3 of its quota" in sentence and "but 4 were delivered" in sentence for sentence in line.invariants().broken)


def test_it_stays_sound_while_everything_happens(api: Any, line: LineSimulator, shop: Channel, tmp_path: Any) -> None:
    habits = Habits(open_rate=0.6, tap_rate=0.5, reply_rate=0.5, block_rate=0.1, unblock_rate=0.5, unblock_median_days=1)
    line.act(habits, shop, crowd=200)
    people = list(shop.chats)
    for day in range(12):
        api("POST", "/v2/bot/message/broadcast", {"messages": [{"type": "text", "text": f"{day}"}]})
        api.multicast(people[:100], f"m{day}")
        for token in list(line.world.state.reply_tokens)[-20:]:
            api.reply(token, "はい")
        line.clock.advance(5 * 86_400 / 2)
    line.drain(30)
    verdict = line.invariants(unique_content=False)
    assert (verdict.broken, verdict.delivered > 2000) == ((), True)


def test_a_second_copy_of_one_sending_is_found(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop), key=KEY)
    inbox = shop.chats[hanako.user_id(shop)].inbox or []
    inbox.append(replace(inbox[0], request_id="again"))
    assert not line.invariants().ok
