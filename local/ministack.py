"""Starts MiniStack on 127.0.0.1 in this process with the virtual clock, honest errors and saved state.

`python -m local.ministack`, configured by the environment that `local.stack` sets. MiniStack 1.5.33 is patched at private
names; any other version is refused in one sentence instead of being patched into something subtly wrong.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.metadata
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

from local.clock import FileClock
from local.faults import Refusals, fault_file, patch_services
from local.mail_events import report_mail_events
from local.virtual_time import Overlay, VirtualTime, count_invocations, patch_queues, patch_scheduler, patch_step_functions

SUPPORTED = "1.5.33"
_AUTOSAVE_SECONDS = 3.0
_GRACEFUL_SECONDS = 0.2  # hypercorn waits this long for open keep-alive connections when stopping
_GATHERING_SECONDS = 1.0
_QUIET_PATHS = ("/_enishi/", "/_ministack/")
_Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def refusal(installed: str) -> str:
    """Return the sentence that refuses a MiniStack version, or nothing for the supported one."""
    if installed == SUPPORTED:
        return ""
    return (
        f"MiniStack {installed} は未対応です。{SUPPORTED} に合わせるため make を実行し直してください / "
        f"MiniStack {installed} is not supported: run make again to install {SUPPORTED}."
    )


def keep_error_types(lambdas: Any) -> None:
    """Hand on what a failing handler raised: MiniStack calls every error Runtime.HandlerError, so no Catch by name matches."""
    proxy = lambdas._execute_function_proxy

    def honest(function: Any, event: Any, url: str, request_id: str) -> Any:
        result = proxy(function, event, url, request_id)
        body = result.get("body")
        message = body.get("errorMessage", "") if result.get("error") and isinstance(body, dict) else ""
        if message.startswith("Proxy target returned HTTP 5") and "{" in message:
            with contextlib.suppress(ValueError):  # cut at 512 bytes by MiniStack: then its own envelope stands
                result["body"] = json.loads(message[message.index("{") :])
        return result

    lambdas._execute_function_proxy = honest


def keep_mail(mail: Any) -> None:
    """Save sent mail with the rest: MiniStack forgets it at every restart, and the viewer would come up empty."""
    get_state, load_state = mail.get_state, mail.load_persisted_state

    def get() -> Any:
        return {**get_state(), "_sent_emails": copy.deepcopy(mail._sent_emails)}

    def load(data: Any) -> None:
        load_state(data)
        mail._restore_regional_store(mail._sent_emails, (data or {}).get("_sent_emails", {}))

    mail.get_state, mail.load_persisted_state = get, load


def stream_statements(dynamodb: Any) -> None:
    """Let streams tell what PartiQL writes, as DynamoDB's do: MiniStack tells them of all other writes only (seen in 1.5.33)."""

    def inserted(table: Any, parsed: Any) -> tuple[Any, Any]:
        item = parsed["item"]["M"] if set(parsed["item"]) == {"M"} else parsed["item"]
        pk, sk = (dynamodb._extract_key_val(item.get(table[name])) for name in ("pk_name", "sk_name"))
        return pk, sk

    def named(table: Any, parsed: Any) -> tuple[Any, Any]:
        pk, sk, *_ = dynamodb._partiql_key_target(table, parsed)
        return pk, sk

    def patch(verb: str, key_of: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        act = getattr(dynamodb, f"_partiql_{verb}")

        def telling(table: Any, parsed: Any, *rest: Any) -> Any:
            pk, sk = key_of(table, parsed)
            old = table["items"].get(pk, {}).get(sk)
            answer = act(table, parsed, *rest)
            new = table["items"].get(pk, {}).get(sk)
            if answer[0] == 200 and (old or new):
                event = "REMOVE" if new is None else "MODIFY" if old else "INSERT"
                dynamodb._emit_stream_event(table["TableName"], event, old, new)
            return answer

        setattr(dynamodb, f"_partiql_{verb}", telling)

    patch("insert", inserted)
    patch("update", named)
    patch("delete", named)


def gather_streams(lambdas: Any) -> None:
    """Look at the streams once a second: MiniStack knows no batching window and would call a function for every write."""
    poll = lambdas._poll_dynamodb_streams
    looked = [0.0]

    def gathering() -> bool:
        if time.monotonic() - looked[0] < _GATHERING_SECONDS:
            return False
        looked[0] = time.monotonic()
        return bool(poll())

    lambdas._poll_dynamodb_streams = gathering


class Status:
    """What `GET /_enishi/status` answers: everything in flight, so that a caller can tell when all is quiet."""

    def __init__(self, virtual: VirtualTime, services: Any, refusals: Refusals | None) -> None:
        self._virtual = virtual
        self._services = services
        self._refusals = refusals

    def read(self) -> dict[str, Any]:
        """Return the state of this instant."""
        executions = self._services.stepfunctions._executions
        busy, known = self._virtual.busy()
        # Started, but its thread has not come up yet.
        busy += [
            record["executionArn"]
            for record in list(executions._data.values())
            if record.get("status") == "RUNNING" and record["executionArn"] not in known
        ]
        return {
            "virtual_now": self._virtual.clock.seconds(),
            "applied_real": self._virtual.applied_real,
            "executions": len(known),
            "busy_executions": busy,
            "next_wait": self._virtual.next_wait(),
            "next_schedule": self._next_schedule(),
            "queues": self._queues(),
            "esm_inflight": sum(self._services.lambda_svc._esm_inflight.values()),
            "faults": dict(self._refusals.counts) if self._refusals else {},
            **self._virtual.counts(),
        }

    def _queues(self) -> dict[str, dict[str, float]]:
        """Return the queues that hold something: visible, delayed (and until when), and taken by somebody."""
        found: dict[str, dict[str, float]] = {}
        now = time.time()
        for queue in list(self._services.sqs._queues._data.values()):
            messages = list(queue.get("messages") or ())
            if messages:
                hidden = [message for message in messages if message.get("visible_at", 0) > now]
                delayed = [message["visible_at"] - now for message in hidden if not message.get("receive_count")]
                found[str(queue.get("name"))] = {
                    "visible": len(messages) - len(hidden),
                    "taken": len(hidden) - len(delayed),
                    "delayed": len(delayed),
                    **({"next_in_seconds": min(delayed)} if delayed else {}),
                }
        return found

    def _next_schedule(self) -> float | None:
        scheduler = self._services.scheduler
        one_offs = [
            scheduler._at_time_epoch(schedule.get("ScheduleExpression", ""))
            for key, schedule in list(scheduler._schedules._data.items())
            if schedule.get("State") == "ENABLED" and key not in scheduler._schedule_last_fired
        ]
        return min((moment for moment in one_offs if moment is not None), default=None)


def answering_status(inner: _Asgi, status: Status, on_request: Callable[[], None]) -> _Asgi:
    """Wrap MiniStack's ASGI application: answer our own path, notice every other request."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path == "/_enishi/status":
            body = json.dumps(status.read()).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        if scope["type"] == "http" and not path.startswith(_QUIET_PATHS):
            on_request()
        await inner(scope, receive, send)

    return app


class Autosave:
    """Writes the state every few seconds when something happened, so that a crash loses seconds and not everything."""

    def __init__(self, save: Callable[[], None], is_loaded: Callable[[], bool], activity: Callable[[], int]) -> None:
        self._save = save
        self._is_loaded = is_loaded
        self._activity = activity

    def start(self) -> None:
        """Begin to save in the background."""
        threading.Thread(target=self._run, daemon=True, name="autosave").start()

    def _run(self) -> None:
        while not self._is_loaded():  # saved any earlier, nothing would overwrite everything
            time.sleep(0.1)
        saved = self._activity()
        while True:
            time.sleep(_AUTOSAVE_SECONDS)
            seen = self._activity()
            if seen != saved:
                self._save()
                saved = seen


def main() -> None:
    """Patch MiniStack and run it until SIGTERM."""
    problem = refusal(importlib.metadata.version("ministack"))
    if problem:
        sys.exit(problem)
    if os.environ.get("BIND_HOST") != "127.0.0.1":
        sys.exit("BIND_HOST must be 127.0.0.1: MiniStack has no password and would answer the whole network.")
    _run()


def _run() -> None:
    import hypercorn.config
    from ministack import app as server  # type: ignore[import-untyped, unused-ignore]
    from ministack import services  # type: ignore[import-untyped, unused-ignore]
    from ministack.services import dynamodb, lambda_svc, scheduler, ses, ses_v2, sns, sqs, stepfunctions  # type: ignore[import-untyped, unused-ignore]

    virtual = VirtualTime(FileClock(os.environ["ENISHI_CLOCK_FILE"]))
    patch_step_functions(virtual, stepfunctions)
    patch_scheduler(virtual, scheduler)
    patch_queues(virtual, sqs)
    count_invocations(virtual, lambda_svc)
    keep_error_types(lambda_svc)
    keep_mail(ses)
    stream_statements(dynamodb)
    gather_streams(lambda_svc)
    for module in (ses, ses_v2):
        module.time = Overlay(time, time=virtual.clock.seconds)  # mail carries the virtual time
    report_mail_events(ses_v2, sns, virtual.clock.now)
    faults = fault_file()
    refusals = Refusals(faults) if faults else None
    if refusals:
        patch_services(refusals, dynamodb, ses_v2, sns, stepfunctions)
    requests = [0]

    def on_request() -> None:
        requests[0] += 1

    server.app = answering_status(server.app, Status(virtual, services, refusals), on_request)
    hypercorn.config.Config.graceful_timeout = _GRACEFUL_SECONDS
    if os.environ.get("PERSIST_STATE") == "1":
        Autosave(
            save=lambda: server.save_all(server._build_persistence_save_dict()),
            is_loaded=lambda: server._ready_scripts_state["status"] == "completed",
            activity=lambda: requests[0] + virtual.counts()["seq"],
        ).start()
    virtual.start()
    sys.argv = ["ministack"]
    server.main()


if __name__ == "__main__":
    main()
