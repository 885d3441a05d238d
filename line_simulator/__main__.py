"""Run the simulator: `python -m line_simulator --port 4010 --channel 花屋 --webhook http://127.0.0.1:3000/callback`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn

from line_simulator.exchange import SimulatorError
from line_simulator.simulator import LineSimulator
from line_simulator.world.clock import read_anchor
from line_simulator.world.settings import Settings
from line_simulator.world.state import Channel

_SNIPPETS = """\
  # for a bot of docs/line-simulator.md, in its shell
  export LINE_API={url} LINE_CHANNEL_SECRET={secret} LINE_CHANNEL_ACCESS_TOKEN={token}
  # Python (line-bot-sdk)
  from linebot.v3.messaging import ApiClient, Configuration, MessagingApi
  api = MessagingApi(ApiClient(Configuration(host="{url}", access_token="{token}")))
  # Node (@line/bot-sdk)
  const client = line.LineBotClient.fromChannelAccessToken({{ channelAccessToken: "{token}",
    apiBaseURL: "{url}", dataApiBaseURL: "{url}", managerBaseURL: "{url}" }})
"""


class _Unusable(Exception):
    """The simulator cannot start; the reason in Japanese and in English."""

    def __init__(self, japanese: str, english: str) -> None:
        super().__init__(f"{japanese} / {english}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(
            2, f"line_simulator: 引数が正しくありません。--help で使い方を表示します / Wrong arguments: {message}. See --help.\n"
        )


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; returns the exit status, 1 when the simulator cannot start."""
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for kind in (signal.SIGINT, signal.SIGTERM):
        signal.signal(kind, lambda *_: ended.set())
    try:
        line = _started(options)
    except _Unusable as error:
        print(f"line_simulator: {error}", file=sys.stderr)
        return 1
    print(f"LINE simulator on {line.url}  (phones: {line.url}/_phone)", flush=True)
    try:
        _furnish(line, options)
        ended.wait()
    except SimulatorError as error:
        print(f"line_simulator: アカウントまたは友だちを作れません / Cannot be made: {error}", file=sys.stderr)
        return 1
    finally:
        line.stop()
    return 0


def _started(options: argparse.Namespace) -> LineSimulator:
    if len(options.webhook) > max(1, len(options.channel)):
        raise _Unusable("--webhook が --channel より多くあります", "there are more --webhook than --channel.")
    _check_folder(options.data)
    _check_clock_file(options.clock_file)
    try:
        settings = Settings(
            strict_reply_tokens=not options.lenient_reply_tokens,
            multicast_foreign_id=options.multicast_foreign_id,
            webhook_lanes=options.webhook_lanes,
        )
    except SimulatorError as error:
        raise _Unusable("設定の値が正しくありません", str(error)) from None
    try:
        line = LineSimulator(options.port, options.seed, options.clock_file, options.data, settings=settings)
    except OSError as error:
        raise _Unusable(
            f"時計ファイル {options.clock_file} を書けません",
            f"the clock file {options.clock_file} cannot be written ({error.strerror}).",
        ) from None
    try:
        return line.start()
    except (OSError, OverflowError) as error:
        line.stop()
        reason = getattr(error, "strerror", None) or str(error)
        raise _Unusable(
            f"ポート {options.port} は使えません。--port で別の番号を指定してください",
            f"port {options.port} cannot be used ({reason}); choose another with --port.",
        ) from None
    except SimulatorError as error:
        raise _Unusable(f"データフォルダ {options.data} は別のシミュレーターが使っています", str(error)) from None
    except ValueError:
        if options.data is None:
            raise
        raise _Unusable(
            f"データフォルダ {options.data} の内容を読めません(別の版の形式です)。削除するか、別のフォルダを指定してください",
            f"what the folder {options.data} keeps cannot be read; delete its linesim.json or name another folder.",
        ) from None


def _check_folder(folder: str | None) -> None:
    if folder is None:
        return
    trial = Path(folder) / ".linesim-trial"
    try:
        trial.parent.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise _Unusable(
            f"データフォルダ {folder} に書き込めません", f"the folder {folder} cannot be written ({error.strerror})."
        ) from None


def _check_clock_file(name: str | None) -> None:
    if name is None or not Path(name).exists():
        return
    try:
        read_anchor(json.loads(Path(name).read_bytes()))
    except (OSError, ValueError):
        raise _Unusable(
            f"時計ファイル {name} を読めません。削除すれば作り直します",
            f'the clock file {name} is not {{"virtual", "real", "scale"}} in JSON; delete it to start anew.',
        ) from None


def _furnish(line: LineSimulator, options: argparse.Namespace) -> None:
    """Create the accounts and friends asked for, and say how to reach them."""
    webhooks = list(options.webhook)
    if webhooks and not options.channel:
        options.channel.append("テスト")
    channels = [line.channel(name, webhooks.pop(0) if webhooks else None) for name in options.channel]
    for channel in channels:
        print(_introduction(line, channel), flush=True)
    for name in options.person:
        person = line.person(name)
        for channel in channels:
            person.follow(channel)
        print(f"友だち friend {name}: {', '.join(person.user_id(channel) for channel in channels) or person.id}", flush=True)


def _introduction(line: LineSimulator, channel: Channel) -> str:
    facts = {
        "channel id": channel.id,
        "channel secret": channel.secret,
        "access token": channel.access_token,
        "webhook": channel.webhook_url or "(なし none: --webhook URL)",
    }
    rows = "\n".join(f"  {name:<15} {value}" for name, value in facts.items())
    return f"\nアカウント account {channel.name}\n{rows}\n{_SNIPPETS.format(url=line.url, secret=channel.secret, token=channel.access_token)}"


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("a name must not be empty")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:9]) > 65_535:
        raise argparse.ArgumentTypeError("the port must be a number from 0 to 65535")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="line_simulator", description="A local LINE Messaging API platform. / LINEプラットフォームのシミュレーター"
    )
    parser.add_argument("--port", type=_port, default=4010, help="0 takes a free one")
    parser.add_argument(
        "--channel", type=_name, action="append", default=[], metavar="NAME", help="create this account (repeatable)"
    )
    parser.add_argument(
        "--webhook", action="append", default=[], metavar="URL", help="webhook URL of the account at the same place"
    )
    parser.add_argument(
        "--person", type=_name, action="append", default=[], metavar="NAME", help="create this friend of the accounts (repeatable)"
    )
    parser.add_argument("--seed", type=int, default=None, help="make ids repeatable")
    parser.add_argument("--clock-file", default=None, help="share the virtual time through this file")
    parser.add_argument("--data", default=None, help="folder that keeps people, channels and chats")
    parser.add_argument("--webhook-lanes", type=int, default=1, help="webhooks on their way at once, per channel")
    parser.add_argument("--lenient-reply-tokens", action="store_true", help="accept replies for 20 minutes")
    parser.add_argument("--multicast-foreign-id", type=int, choices=(200, 400), default=400)
    return parser


if __name__ == "__main__":
    sys.exit(main())
