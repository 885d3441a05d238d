"""Rich menus of many people at once: bulk link and unlink, and batches with their progress."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.findings import Findings
from line_simulator.objects.rich_menu import check_menu_id
from line_simulator.world.ids import is_retry_key, is_user_id
from line_simulator.world.rich_menu_book import NO_IMAGE, Batch, Bulk, ChannelMenus, ResumeKey, menus_of, refusal
from line_simulator.world.state import DAY_SECONDS, World

BULK_MAX: Final = 500
OPERATIONS_MAX: Final = 1000
KEPT_SECONDS: Final = 14 * DAY_SECONDS
_TYPES: Final = ("link", "unlink", "unlinkAll")
_RESUME_KEY: Final = re.compile(r"[0-9a-zA-Z_-]{1,100}")


class RichMenuBatches:
    """Answers of the bulk and batch operations. What they change takes effect later, by the virtual clock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            "linkRichMenuIdToUsers": Operation(self._bulk_link, Reads.JSON),
            "unlinkRichMenuIdFromUsers": Operation(self._bulk_unlink, Reads.JSON),
            # The prose of the reference says 200 here, the specification 202.
            "richMenuBatch": Operation(self._batch, Reads.JSON),
            "validateRichMenuBatchRequest": Operation(self._validate, Reads.JSON),
            # LINE disagrees with itself on how often progress may be asked for; see Settings.rich_menu_progress_limit.
            "getRichMenuBatchProgress": Operation(self._progress),
        }

    def _bulk_link(self, call: Context) -> Response:
        menu_id = call.body.get("richMenuId")
        user_ids = _user_ids(call.body.get("userIds"))
        found = Findings()
        if not check_menu_id(found, "richMenuId", menu_id):
            found.raise_if_any()
        menu = menus_of(self._world, call.owner).find(menu_id)
        if menu is None:
            raise refusal(404, "richmenu not found")
        if not menu.image:
            raise refusal(400, NO_IMAGE)
        return self._bulk(call, user_ids, menu.id)

    def _bulk_unlink(self, call: Context) -> Response:
        return self._bulk(call, _user_ids(call.body.get("userIds")), None)

    def _bulk(self, call: Context, user_ids: list[str], menu_id: str | None) -> Response:
        menus = menus_of(self._world, call.owner)
        due = self._world.clock.time() + self._world.settings.rich_menu_bulk_seconds
        menus.bulks.append(Bulk(due, self._world.state.next_sequence(), user_ids, menu_id))
        return json_response({}, 202)

    def _validate(self, call: Context) -> Response:
        check_batch(menus_of(self._world, call.owner), call.body)
        return json_response({})

    def _batch(self, call: Context) -> Response:
        menus = menus_of(self._world, call.owner)
        operations = check_batch(menus, call.body)
        now = self._world.clock.time()
        _forget(menus, now)
        sequence = self._world.state.next_sequence()
        before = sequence
        key = call.body.get("resumeRequestKey")
        if key is not None:
            # With a known key only those go on whom the first attempt did not reach.
            before = menus.keys.setdefault(key, ResumeKey(now, sequence)).sequence
        failing = menus.fail_batches > 0
        menus.fail_batches -= failing
        menus.batches[call.request_id] = Batch(
            accepted_at=now,
            due=now + self._world.settings.rich_menu_batch_seconds,
            sequence=sequence,
            before=before,
            moves={one["from"]: one.get("to") for one in operations if one["type"] != "unlinkAll"},
            everyone=any(one["type"] == "unlinkAll" for one in operations),
            failing=failing,
        )
        return json_response({}, 202)

    def _progress(self, call: Context) -> Response:
        request_id = call.query.get("requestId", "")
        if not is_retry_key(request_id):
            # That a malformed id is refused is documented, its text is not.
            raise ApiError(400, "The value for the 'requestId' parameter is invalid")
        menus = menus_of(self._world, call.owner)
        _forget(menus, self._world.clock.time())
        batch = menus.batches.get(request_id)
        if batch is None:
            raise ApiError(404, "Not found")
        if not batch.done:
            return json_response({"phase": "ongoing", "acceptedTime": _iso(batch.accepted_at)})
        phase = "failed" if batch.failing else "succeeded"
        return json_response({"phase": phase, "acceptedTime": _iso(batch.accepted_at), "completedTime": _iso(batch.due)})


def check_batch(menus: ChannelMenus, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the operations of a batch with only known properties. Raises ApiError: 400, or 404 for a menu that is not there."""
    found = Findings()
    operations = _operations(found, body.get("operations"))
    key = body.get("resumeRequestKey")
    if key is not None and (not isinstance(key, str) or _RESUME_KEY.fullmatch(key) is None):
        # That a malformed key is refused is documented, its text is not.
        found.add("resumeRequestKey", "invalid resumeRequestKey")
    found.raise_if_any()
    missing, imageless = Findings(), Findings()
    for index, operation in enumerate(operations):
        for name in ("from", "to"):
            menu_id = operation.get(name)
            menu = menus.find(menu_id)
            path = f"operations[{index}].{name}"
            if menu_id is not None and menu is None:
                missing.add(path, f"Richmenu ({menu_id}) is not found")
            elif name == "to" and menu is not None and not menu.image:
                imageless.add(path, f"'to' richmenu ({menu.id}) must have image but it doesn't")
    if missing.details:
        raise ApiError(404, f"The request body has {len(missing.details)} error(s)", missing.details)
    imageless.raise_if_any()
    return operations


def _operations(found: Findings, value: object) -> list[dict[str, Any]]:
    operations = []
    for index, item in enumerate(found.items("operations", value, 1, OPERATIONS_MAX)):
        path = f"operations[{index}]"
        operation = found.mapping(path, item)
        if operation is None or not found.one_of(f"{path}.type", operation.get("type"), _TYPES):
            continue
        names = {"link": ("from", "to"), "unlink": ("from",), "unlinkAll": ()}[operation["type"]]
        for name in names:
            check_menu_id(found, f"{path}.{name}", operation.get(name))
        operations.append({name: operation[name] for name in ("type", *names) if name in operation})
    seen: set[str] = set()
    for operation in operations:
        origin = operation.get("from")
        if isinstance(origin, str) and origin in seen:
            found.add("operations[].from", f"from richmenu ({origin}) is duplicated")
        seen.add(str(origin))
    if len({operation["type"] == "unlinkAll" for operation in operations}) > 1:
        found.add("operations[].type", "'unlinkAll' type can't be combined with other type")
    return operations


def _user_ids(value: object) -> list[str]:
    found = Findings()
    user_ids = found.items("userIds", value, 1, BULK_MAX)
    found.raise_if_any()
    for index, user_id in enumerate(user_ids):
        if not is_user_id(user_id):
            raise ApiError(400, f"The property, 'userIds[{index}]', in the request body is invalid (line: -, column: -)")
    return user_ids


def _forget(menus: ChannelMenus, now: float) -> None:
    menus.batches = {one: batch for one, batch in menus.batches.items() if now < batch.accepted_at + KEPT_SECONDS}
    menus.keys = {one: key for one, key in menus.keys.items() if now < key.at + KEPT_SECONDS}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
