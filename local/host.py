"""One process that runs every Lambda function of the product on threads; MiniStack's proxy mode posts the events here.

A process for each function and each concurrent call, as MiniStack does by itself, took 1 GB and 28 s for the first burst
(measured); this takes 165 MB. `POST /app.webhook_worker` calls that handler with the event in the body.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import threading
import time
import traceback
from contextlib import AbstractContextManager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.clock import FileClock
from local.faults import VARIABLE, Mortality, fault_file

_ERROR_CHARACTERS = 200  # MiniStack keeps 512 bytes of a failing answer; the type must be among them
_REST_ENTRY = "app.app"
# Which app.py imports when they are first called.
_DOORS = ("feedback", "lake_feeder", "scenario_steps", "webhook_worker", "workers")
_LOOK_SECONDS = 0.1


class Context:
    """The context object of one invocation, as far as Lambda documents it."""

    memory_limit_in_mb = 512
    identity = None
    client_context = None
    log_stream_name = "local"
    function_version = "$LATEST"

    def __init__(self, headers: Any) -> None:
        self.function_name = headers.get("X-Amzn-Lambda-Function-Name", "")
        self.invoked_function_arn = headers.get("X-Amzn-Lambda-Function-Arn", "")
        self.aws_request_id = headers.get("X-Amzn-Lambda-Request-Id", "")
        self.log_group_name = "/aws/lambda/" + self.function_name
        self._deadline_millis = int(headers.get("X-Amzn-Lambda-Deadline-Ms", 0))

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the function may still run."""
        return max(0, self._deadline_millis - int(time.time() * 1000))


class Functions:
    """The product's handlers, imported on the first call with the environment that the deployment gave them."""

    def __init__(self, clock_file: str) -> None:
        self._clock_file = clock_file
        self._lock = threading.Lock()
        # Chalice keeps app.current_request in the process: two threads in one application mixed up their requests (measured).
        self._rest = threading.Lock()
        self._handlers: dict[str, Any] = {}
        self.mortality: Mortality | None = None

    def call(self, name: str, event: Any, context: Context) -> Any:
        """Run one handler, `module.attribute`."""
        handler = self._handler(name)
        alone: AbstractContextManager[Any] = self._rest if name == _REST_ENTRY else nullcontext()
        with alone:
            if self.mortality:
                return self.mortality.call(name, lambda: handler(event, context))
            return handler(event, context)

    def preload(self) -> None:
        """Import the product before the first call wants it; what goes wrong here will be that call's answer."""
        try:
            self._handler(_REST_ENTRY)
            for name in _DOORS:
                importlib.import_module(f"chalicelib.entrypoints.{name}")
        except Exception:
            traceback.print_exc()

    def _handler(self, name: str) -> Any:
        with self._lock:
            if name not in self._handlers:
                if not self._handlers:
                    self._prepare()
                module, _, attribute = name.rpartition(".")
                self._handlers[name] = getattr(importlib.import_module(module), attribute)
            return self._handlers[name]

    def _prepare(self) -> None:
        os.environ.update(_deployed_environment())
        os.environ["AWS_LAMBDA_FUNCTION_NAME"] = "local-host"
        wiring: Any = importlib.import_module("chalicelib.wiring")
        wiring.use_clock(FileClock(self._clock_file))


def _deployed_environment() -> dict[str, str]:
    """Return the variables of the deployed functions; a deployment gives all its functions the same ones."""
    import boto3

    found: dict[str, str] = {}
    for page in boto3.client("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            found.update(function.get("Environment", {}).get("Variables", {}))
    found.pop("MINISTACK_LAMBDA_PROXY_URL", None)
    return found


class Door(BaseHTTPRequestHandler):
    """Takes events over HTTP on 127.0.0.1."""

    protocol_version = "HTTP/1.1"
    functions: Functions

    def setup(self) -> None:
        """Answer at once: Nagle's algorithm adds 40 ms to small answers."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep silent: the functions log for themselves."""

    def do_GET(self) -> None:
        """Say that the host is up."""
        self._answer(200, {"ok": True})

    def do_POST(self) -> None:
        """Run the handler named by the path."""
        event = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        try:
            status, result = 200, self.functions.call(self.path.strip("/"), event, Context(self.headers))
        except Exception as error:
            traceback.print_exc()
            status = 500
            result = {"errorMessage": str(error)[:_ERROR_CHARACTERS], "errorType": type(error).__name__}
        self._answer(status, result)

    def _answer(self, status: int, result: Any) -> None:
        body = json.dumps(result).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Host(ThreadingHTTPServer):
    """Serves the door; a burst of events may queue in the listen backlog."""

    request_queue_size = 256
    daemon_threads = True


def be_reborn() -> None:
    """Return in a child process, and again in another whenever one has died: everything is imported already, as Lambda keeps it."""
    parent = os.getpid()
    while child := os.fork():
        os.waitpid(child, 0)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def main() -> None:
    """Serve on the port given on the command line with the clock file given after it."""
    port, clock_file = int(sys.argv[1]), sys.argv[2]
    app_root = os.environ.get("ENISHI_APP_ROOT", "")
    if app_root:
        sys.path.insert(0, app_root)
    Door.functions = Functions(clock_file)
    faults = fault_file()
    if faults:
        Door.functions.preload()
        be_reborn()
        Door.functions.mortality = Mortality(faults, Path(os.environ[VARIABLE]))
        Door.functions.mortality.watch()
    else:
        threading.Thread(target=Door.functions.preload, daemon=True).start()
    print(f"Lambda host on 127.0.0.1:{port}", flush=True)
    Host(("127.0.0.1", port), Door).serve_forever()


if __name__ == "__main__":
    main()
