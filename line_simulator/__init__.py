"""A simulator of LINE's Messaging API platform, for development and tests without LINE."""

from line_simulator.pages.browser import Browser, Page
from line_simulator.clock import Clock, ClockError
from line_simulator.exchange import Request, Response, SimulatorError
from line_simulator.habits import Habits
from line_simulator.person import Person, Tap
from line_simulator.simulator import LineSimulator
from line_simulator.state import Channel, Received, Settings
from line_simulator.wire import sign

__all__ = [
    "Browser",
    "Channel",
    "Clock",
    "ClockError",
    "Habits",
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
