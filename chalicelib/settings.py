"""Everything that a deployment may set, read once from the environment by strict parsers; secrets only by reference."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from chalicelib.kernel.errors import EnishiError

# Plain HTTP only to this machine: the local stack and the simulator.
_URL = re.compile(r"https://[^/]|http://(127\.0\.0\.1|localhost)(:\d+)?(/|\Z)")


class SettingsError(EnishiError):
    """The configuration is missing or wrong; says every variable at once, so that one look is enough."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one deployment. Each field is the environment variable of the same name in capitals."""

    stage: str
    core_table: str
    timeline_table: str
    engine_table: str
    config_table: str
    files_bucket: str
    events_queue_url: str
    events_dead_url: str
    work_queue_url: str
    work_dead_url: str
    mail_queue_url: str
    mail_dead_url: str
    lake_dead_url: str
    machine_role_arn: str
    machine_arn_prefix: str
    steps_function_arn: str
    ticks_function_arn: str
    schedule_group: str
    schedule_role_arn: str
    secret_prefix: str
    public_url: str
    line_api_url: str = "https://api.line.me"
    line_access_url: str = "https://access.line.me"
    mail_from: str = ""
    mail_configuration_set: str = ""
    sms_sender_id: str = ""
    company_name: str = ""
    company_address: str = ""
    company_contact: str = ""
    raw_event_days: int = 30
    log_level: str = "INFO"


def parse(environment: Mapping[str, str]) -> Settings:
    """Return the settings in `environment`. Raises SettingsError naming every variable that is missing or malformed."""
    values: dict[str, Any] = {}
    problems = []
    required = {field.name for field in fields(Settings) if field.default is field.default_factory}
    for field in fields(Settings):
        variable = field.name.upper()
        text = environment.get(variable, "")
        if not text:
            if field.name in required:
                problems.append(f"{variable} is missing")
            continue
        try:
            values[field.name] = _PARSERS.get(str(field.type), _text)(text)
        except ValueError:
            problems.append(f"{variable} must be a whole number, not {text!r}")
    for name in ("public_url", "line_api_url", "line_access_url"):
        url = values.get(name)
        if url is not None:
            values[name] = url.rstrip("/")
            if not _URL.match(url):
                problems.append(f"{name.upper()} must start with https://, not {url!r}")
    if problems:
        raise SettingsError("設定が不足しているか誤っています / configuration: " + "; ".join(problems))
    return Settings(**values)


def _text(value: str) -> str:
    return value


_PARSERS: dict[str, Callable[[str], Any]] = {"int": int}


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read on first use (Chalice imports app.py while packaging)."""
    return parse(os.environ)
