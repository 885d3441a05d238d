"""A simulator of LINE's Messaging API platform, for development and tests without LINE.

In pytest, with a bot that listens at `bot_url` and is told to call `line.url` instead of https://api.line.me:

    @pytest.fixture
    def line():
        with LineSimulator(seed=1) as running:
            yield running

    def test_the_bot_greets(line, bot_url):
        shop = line.channel("花屋", webhook_url=bot_url)
        hanako = line.person("花子")
        hanako.follow(shop)
        line.await_call("replyMessage")
        assert hanako.inbox(shop)[0].message["text"] == "はじめまして"
"""

from line_simulator.exchange import Request, Response, SimulatorError
from line_simulator.pages.browser import Browser, Page
from line_simulator.people.group import GroupChat
from line_simulator.people.habits import Habits
from line_simulator.people.person import Person, Tap
from line_simulator.simulator import LineSimulator
from line_simulator.webhooks.wire import sign
from line_simulator.world.clock import Clock, ClockError
from line_simulator.world.settings import Settings
from line_simulator.world.state import Channel, Received

__all__ = [
    "Browser",
    "Channel",
    "Clock",
    "ClockError",
    "Habits",
    "GroupChat",
    "LineSimulator",
    "Page",
    "Person",
    "Received",
    "Request",
    "Response",
    "Settings",
    "SimulatorError",
    "Tap",
    "sign",
]
