"""Webhooks out over urllib3: to public addresses only, and to the very address that was looked at."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache

import urllib3
from urllib3.util import Url, parse_url

from chalicelib.kernel.errors import PermanentError, TemporaryError

# A receiver takes the call and works afterwards; one that works first keeps everybody behind it waiting.
_TIMEOUT = urllib3.Timeout(connect=3.0, read=5.0)
_MOST_READ = 65_536  # of an answer that nobody looks at, so that the connection can be used again
_LATER = {408, 429}


def addresses_of(host: str, port: int) -> list[str]:
    """Return the IPv4 addresses of a host: Lambda has no way out over IPv6. Raises OSError."""
    found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class HookApi:
    """Implements ports.hooks.HookCaller. allow_loopback: a receiver on this machine will do, and plain HTTP to it."""

    def __init__(self, *, allow_loopback: bool, resolve: Callable[[str, int], list[str]] = addresses_of) -> None:
        self._allow_loopback = allow_loopback
        self._resolve = resolve

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        """Post to a public address; see the port."""
        parsed = parse_url(url)
        host, port = parsed.host or "", parsed.port or (443 if parsed.scheme == "https" else 80)
        # Asked once and called by number: a name that changes its mind between the look and the call leads nowhere else.
        address = self._checked(host, port, parsed)
        pool = _pool(str(parsed.scheme), host, address, port)
        try:
            response = pool.urlopen(
                "POST",
                parsed.request_uri,
                body=content,
                headers={**headers, "Host": parsed.netloc or host},
                redirect=False,
                retries=False,
                preload_content=False,
            )
            response.read(_MOST_READ)
            response.close()
        except urllib3.exceptions.HTTPError as error:
            raise TemporaryError(f"webhook: {type(error).__name__}", maybe_done=True) from error
        if 200 <= response.status < 300:
            return response.status
        reason = f"webhook: HTTP {response.status}"
        if response.status in _LATER or response.status >= 500:
            raise TemporaryError(reason, retry_after_seconds=_seconds(response.headers.get("Retry-After")), maybe_done=True)
        raise PermanentError(reason)

    def _checked(self, host: str, port: int, parsed: Url) -> str:
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise TemporaryError("webhook: the host has no address") from error
        addresses = [ipaddress.ip_address(one) for one in found]
        if self._allow_loopback and addresses and all(one.is_loopback for one in addresses):
            return found[0]
        if parsed.scheme != "https":
            raise PermanentError("webhook: not an https address")
        if not addresses or not all(one.is_global and not one.is_multicast for one in addresses):
            raise PermanentError("webhook: not a public address")
        return found[0]


@lru_cache(maxsize=32)
def _pool(scheme: str, host: str, address: str, port: int) -> urllib3.HTTPConnectionPool:
    if scheme == "https":
        return urllib3.HTTPSConnectionPool(address, port, timeout=_TIMEOUT, maxsize=20, server_hostname=host, assert_hostname=host)
    return urllib3.HTTPConnectionPool(address, port, timeout=_TIMEOUT, maxsize=20)


def _seconds(retry_after: str | None) -> float:
    try:
        return max(0.0, urllib3.Retry().parse_retry_after(retry_after)) if retry_after else 0.0
    except urllib3.exceptions.InvalidHeader:
        return 0.0
