"""Run the simulator: `python -m line_simulator --port 4010`."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from line_simulator.simulator import LineSimulator
from line_simulator.state import Settings


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; returns the exit status."""
    options = _parser().parse_args(arguments)
    settings = Settings(
        strict_reply_tokens=not options.lenient_reply_tokens,
        multicast_foreign_id=options.multicast_foreign_id,
        webhook_lanes=options.webhook_lanes,
    )
    ended = threading.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda *_: ended.set())
    line = LineSimulator(options.port, options.seed, options.clock_file, options.data, settings=settings)
    try:
        line.start()
    except OSError as error:
        print(f"Port {options.port} cannot be used: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"LINE simulator on {line.url}  (phones: {line.url}/_phone)", flush=True)
    ended.wait()
    line.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="line_simulator", description="A local LINE Messaging API platform.")
    parser.add_argument("--port", type=int, default=4010)
    parser.add_argument("--seed", type=int, default=None, help="make ids repeatable")
    parser.add_argument("--clock-file", default=None, help="share the virtual time through this file")
    parser.add_argument("--data", default=None, help="folder that keeps people, channels and chats")
    parser.add_argument("--webhook-lanes", type=int, default=1, help="webhooks on their way at once, per channel")
    parser.add_argument("--lenient-reply-tokens", action="store_true", help="accept replies for 20 minutes")
    parser.add_argument("--multicast-foreign-id", type=int, choices=(200, 400), default=400)
    return parser


if __name__ == "__main__":
    sys.exit(main())
