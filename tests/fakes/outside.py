"""The other edges of the world: mail, SMS, files, secrets, queues, machines, schedules; each remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from chalicelib.kernel.errors import NotFoundError
from chalicelib.ports.email import Email
from chalicelib.ports.queues import DeadLetter


@dataclass
class FakeEmail:
    sent: list[Email] = field(default_factory=list)
    problems: list[Exception | None] = field(default_factory=list)

    def send(self, email: Email) -> str:
        if self.problems:
            problem = self.problems.pop(0)
            if problem is not None:
                raise problem
        self.sent.append(email)
        return f"mail-{len(self.sent)}"


@dataclass
class FakeSms:
    sent: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[Exception | None] = field(default_factory=list)

    def send(self, to: str, text: str, reference: str) -> str:
        if self.problems:
            problem = self.problems.pop(0)
            if problem is not None:
                raise problem
        self.sent.append((to, text, reference))
        return f"sms-{len(self.sent)}"


@dataclass
class FakeHookCaller:
    sent: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    problems: list[Exception | None] = field(default_factory=list)

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        problem = self.problems.pop(0) if self.problems else None
        if problem is not None:
            raise problem
        self.sent.append((url, content, dict(headers)))
        return 200


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'  # as S3 makes it


@dataclass
class FakeFiles:
    kept: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, content: bytes, content_type: str) -> None:
        self.kept[key] = content

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put_if(self, key: str, content: bytes, content_type: str, tag: str) -> str | None:
        known = self.get_tagged(key)
        if (known[1] if known else "") != tag:
            return None
        self.kept[key] = content
        return _tag(content)

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        return (self.kept[key], _tag(self.kept[key])) if key in self.kept else None

    def fetch(self, key: str, path: Path) -> bool:
        if key in self.kept:
            path.write_bytes(self.kept[key])
        return key in self.kept

    def send(self, path: Path, key: str, content_type: str) -> None:
        self.kept[key] = path.read_bytes()

    def read(self, key: str, start: int, length: int) -> bytes | None:
        return self.kept[key][start : start + length] if key in self.kept else None

    def size(self, key: str) -> int | None:
        return len(self.kept[key]) if key in self.kept else None

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self.kept.pop(key, None)

    def list(self, prefix: str) -> list[str]:
        return sorted(key for key in self.kept if key.startswith(prefix))

    def upload_url(self, key: str, content_type: str, expires_seconds: int) -> str:
        return f"https://files.test/put/{key}"

    def download_url(self, key: str, expires_seconds: int) -> str:
        return f"https://files.test/get/{key}"


@dataclass
class FakeSecrets:
    kept: dict[str, dict[str, Any]] = field(default_factory=lambda: {"signing": {"key": "s" * 40}})

    def get(self, name: str) -> dict[str, Any] | None:
        return self.kept.get(name)

    def refresh(self, name: str) -> dict[str, Any] | None:
        return self.kept.get(name)

    def put(self, name: str, value: dict[str, Any]) -> None:
        self.kept[name] = value

    def delete(self, name: str) -> None:
        self.kept.pop(name, None)


@dataclass
class FakeQueue:
    messages: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def put(self, body: str, attributes: dict[str, str], delay_seconds: int = 0) -> None:
        self.messages.append((body, attributes))

    def depth(self) -> int:
        return len(self.messages)

    def peek(self, most: int) -> list[DeadLetter]:
        return [DeadLetter(str(i), body, attributes, str(i)) for i, (body, attributes) in enumerate(self.messages[:most])]

    def remove(self, letter: DeadLetter) -> None:
        self.messages.remove((letter.body, letter.attributes))


@dataclass
class FakeMachines:
    published: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def publish(self, name: str, definition: dict[str, Any]) -> None:
        self.published.setdefault(name, definition)

    def start(self, name: str, execution: str, data: dict[str, Any]) -> None:
        if name not in self.published:
            raise NotFoundError("machine.unknown", name=name)
        self.started.setdefault(execution, (name, data))

    def delete(self, name: str) -> None:
        self.published.pop(name, None)


@dataclass
class FakeSchedules:
    armed: dict[str, tuple[datetime, dict[str, Any]]] = field(default_factory=dict)

    def at(self, name: str, moment: datetime, event: dict[str, Any]) -> None:
        self.armed[name] = (moment, event)

    def cancel(self, name: str) -> None:
        self.armed.pop(name, None)
