"""Webhooks out over real sockets: what the other side answers, and where no call goes."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.adapters.hooks import HookApi
from chalicelib.kernel.errors import PermanentError, TemporaryError


class Receiver(BaseHTTPRequestHandler):
    seen: list[tuple[str, bytes, dict[str, str]]]
    answer: tuple[int, dict[str, str]]

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((self.path, content, dict(self.headers)))
        status, headers = type(self).answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://localhost:{made.server_port}"
    made.shutdown()
    made.server_close()


@pytest.fixture
def receiver(server: str) -> str:
    Receiver.seen = []
    Receiver.answer = (200, {})
    return server


def test_it_posts_to_the_address_that_it_looked_up_under_the_name_that_was_given(receiver: str) -> None:
    api = HookApi(allow_loopback=True)
    assert api.post(f"{receiver}/a/b?c=d", "縁".encode(), {"Idempotency-Key": "k"}) == 200
    ((path, content, headers),) = Receiver.seen
    assert (path, content.decode(), headers["Idempotency-Key"]) == ("/a/b?c=d", "縁", "k")
    assert headers["Host"] == receiver.removeprefix("http://")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 410])
def test_a_refusal_and_a_redirect_are_final(receiver: str, status: int) -> None:
    Receiver.answer = (status, {"Location": f"{receiver}/elsewhere"})
    with pytest.raises(PermanentError, match=str(status)):
        HookApi(allow_loopback=True).post(receiver, b"{}", {})
    assert len(Receiver.seen) == 1


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(408, {}, 0.0), (429, {"Retry-After": "120"}, 120.0), (500, {"Retry-After": "soon"}, 0.0),
     (503, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0)],
)  # fmt: skip
def test_what_may_be_better_later_says_when(receiver: str, status: int, headers: dict[str, str], seconds: float) -> None:
    Receiver.answer = (status, headers)
    with pytest.raises(TemporaryError) as caught:
        HookApi(allow_loopback=True).post(receiver, b"{}", {})
    assert caught.value.retry_after_seconds == seconds


def test_nobody_there_is_temporary() -> None:
    with pytest.raises(TemporaryError):
        HookApi(allow_loopback=True).post("http://127.0.0.1:9/", b"{}", {})

    def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(TemporaryError):
        HookApi(allow_loopback=False, resolve=nowhere).post("https://gone.test/", b"{}", {})


PRIVATE = [
    "127.0.0.1",
    "10.0.0.8",
    "172.16.3.4",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.7",
]


@pytest.mark.parametrize("addresses", [[one] for one in PRIVATE] + [["1.1.1.1", "10.0.0.8"], []], ids=str)
def test_no_call_goes_to_an_address_that_is_not_public(addresses: list[str]) -> None:
    api = HookApi(allow_loopback=False, resolve=lambda host, port: addresses)
    with pytest.raises(PermanentError, match="public"):
        api.post("https://innocent.test/", b"{}", {})


@pytest.mark.parametrize("address", PRIVATE[1:])
def test_not_even_where_this_machine_itself_will_do(address: str) -> None:
    api = HookApi(allow_loopback=True, resolve=lambda host, port: [address])
    for url in ("https://innocent.test/", "http://innocent.test/"):
        with pytest.raises(PermanentError):
            api.post(url, b"{}", {})


def test_plain_http_goes_nowhere_else(receiver: str) -> None:
    with pytest.raises(PermanentError, match="https"):
        HookApi(allow_loopback=False).post(receiver, b"{}", {})
    with pytest.raises(PermanentError, match="https"):
        HookApi(allow_loopback=True, resolve=lambda host, port: ["1.1.1.1"]).post("http://public.test/", b"{}", {})
    assert Receiver.seen == []


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Return the files of a certificate that vouches for itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    day = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(), day - timedelta(1), day + timedelta(1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return files


def test_an_address_called_by_number_must_still_prove_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cert, key = certificate(tmp_path, "pos.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    made = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    Receiver.seen, Receiver.answer = [], (200, {})
    api = HookApi(allow_loopback=True, resolve=lambda host, port: ["127.0.0.1"])
    try:
        assert api.post(f"https://pos.test:{made.server_port}/", b"{}", {}) == 200
        with pytest.raises(TemporaryError, match="SSLError"):
            api.post(f"https://other.test:{made.server_port}/", b"{}", {})
    finally:
        made.shutdown()
        made.server_close()
    assert len(Receiver.seen) == 1
