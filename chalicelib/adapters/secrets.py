"""AWS Secrets Manager, one JSON object a name, remembered for a minute."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.aws import client, code_of, translated

_REMEMBER_SECONDS = 60.0
_REFRESH_SECONDS = 5.0


class SecretsManager:
    """Implements ports.secrets.Secrets. A missing name is remembered too, for a second: guesses at the door cost one call."""

    def __init__(self, prefix: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._prefix = prefix
        self._monotonic = monotonic
        self._refreshed: dict[str, float] = {}
        self._known: dict[str, tuple[float, dict[str, Any] | None]] = {}

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object kept under a name; see the port."""
        known = self._known.get(name)
        if known and self._monotonic() < known[0]:
            return known[1]
        value = self._fetch(name)
        if len(self._known) > 1000:
            self._known.clear()
        self._known[name] = (self._monotonic() + (_REMEMBER_SECONDS if value else 1.0), value)
        return value

    def refresh(self, name: str) -> dict[str, Any] | None:
        """Return it as it is now; see the port. A flood of bad signatures must not become a flood of calls."""
        asked_at = self._refreshed.get(name)
        if asked_at is not None and self._monotonic() - asked_at < _REFRESH_SECONDS:
            return self.get(name)
        if len(self._refreshed) > 1000:
            self._refreshed.clear()
        self._refreshed[name] = self._monotonic()
        self._known.pop(name, None)
        return self.get(name)

    def _fetch(self, name: str) -> dict[str, Any] | None:
        with translated("GetSecretValue"):
            try:
                answer = client("secretsmanager").get_secret_value(SecretId=self._prefix + name)
            except ClientError as error:
                if code_of(error) in ("ResourceNotFoundException", "InvalidRequestException"):
                    return None
                raise
        value: dict[str, Any] = json.loads(answer["SecretString"])
        return value

    def put(self, name: str, value: dict[str, Any]) -> None:
        """Create or replace the JSON object under a name; see the port."""
        text = json.dumps(value, ensure_ascii=False)
        with translated("PutSecretValue"):
            try:
                client("secretsmanager").put_secret_value(SecretId=self._prefix + name, SecretString=text)
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise
                client("secretsmanager").create_secret(Name=self._prefix + name, SecretString=text)
        self._known.pop(name, None)

    def delete(self, name: str) -> None:
        """Forget a name; see the port."""
        with translated("DeleteSecret"):
            try:
                client("secretsmanager").delete_secret(SecretId=self._prefix + name, ForceDeleteWithoutRecovery=True)
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise
        self._known.pop(name, None)
