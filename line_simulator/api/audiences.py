"""Audience groups: uploaded ids, clicks, impressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qs

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.audience_input import (
    audience_name,
    boolean,
    check_note,
    choices,
    file_ids,
    invalid,
    json_ids,
    number_in,
    refusal,
    whole,
)
from line_simulator.objects.findings import Findings
from line_simulator.objects.multipart import read_parts
from line_simulator.world.audience_book import (
    JOBS_SHOWN,
    KEPT_SECONDS,
    ROUTES,
    Audience,
    AudienceBook,
    Job,
    count,
    job_status,
    new_id,
    status,
)
from line_simulator.world.ids import USER_ID
from line_simulator.world.reports import Report, Reports
from line_simulator.world.state import DAY_SECONDS, Channel, JsonObject, World

AUDIENCES_MAX: Final = 1_000
WORKING_MAX: Final = 10
_PAGE_MAX: Final = 10**12
RETARGET_SECONDS: Final = 60 * DAY_SECONDS
_IFA = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STATUSES: Final = ("IN_PROGRESS", "READY", "FAILED", "EXPIRED", "INACTIVE", "ACTIVATING")


class Audiences:
    """Audience groups: uploaded ids, clicks, impressions."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area.

        Guessed: how long audiences take; that ids of nobody are passed over as long as one is somebody's; the message beside
        the documented codes where the reference shows none; the order of lists and the refusal of their parameters.
        """
        shared = "BUSINESS_MANAGER and others exist only when a test adds them"
        return {
            "createAudienceGroup": Operation(self.create, Reads.JSON),
            "addAudienceToAudienceGroup": Operation(self.add, Reads.JSON),
            # Unlocked: a file of a million ids is read before the world has to wait.
            "createAudienceForUploadingUserIds": Operation(self.create_by_file, Reads.BYTES, locked=False),
            "addUserIdsToAudience": Operation(self.add_by_file, Reads.BYTES, locked=False),
            "createClickBasedAudienceGroup": Operation(self.create_click, Reads.JSON),
            "createImpBasedAudienceGroup": Operation(self.create_imp, Reads.JSON),
            "updateAudienceGroupDescription": Operation(self.rename, Reads.JSON),
            # The reference says 202, the OpenAPI file 200.
            "deleteAudienceGroup": Operation(self.delete),
            "getAudienceData": Operation(self.get),
            "getAudienceGroups": Operation(self.listing),
            "getSharedAudienceData": Operation(self.get_shared, partial=shared),
            "getSharedAudienceGroups": Operation(self.shared_listing, partial=shared),
        }

    # -- uploads

    def create(self, call: Context) -> Response:
        """Answer createAudienceGroup. Without ids an empty audience is made, which stays IN_PROGRESS. Raises ApiError 400."""
        body = call.body
        name = audience_name(body.get("description"))
        found = Findings()
        found.boolean("isIfaAudience", body.get("isIfaAudience"))
        found.raise_if_any()
        ids = json_ids(body.get("audiences"))
        return self._created(call, name, body.get("isIfaAudience") is True, ids, body.get("uploadDescription"), "audiences")

    def create_by_file(self, call: Context) -> Response:
        """Answer createAudienceForUploadingUserIds. Raises ApiError 400, 415."""
        parts = read_parts(call.request.body, call.request.headers.get("content-type", ""))
        name = audience_name(parts["description"].text if "description" in parts else None)
        # A form has no booleans; SDKs write true, True or 1.
        ifa = "isIfaAudience" in parts and parts["isIfaAudience"].text.strip().lower() in ("true", "1")
        ids = file_ids(parts.get("file"))
        note = parts["uploadDescription"].text if "uploadDescription" in parts else None
        with self._world.lock:
            return self._created(call, name, ifa, ids, note, "file")

    def add(self, call: Context) -> Response:
        """Answer addAudienceToAudienceGroup. Raises ApiError 400, 429."""
        ids = json_ids(call.body.get("audiences"))
        audience = self._uploadable(call.owner, call.body.get("audienceGroupId"))
        self._upload(call, audience, ids, call.body.get("uploadDescription"), "audiences")
        return json_response({}, 202)

    def add_by_file(self, call: Context) -> Response:
        """Answer addUserIdsToAudience. Raises ApiError 400, 415, 429."""
        parts = read_parts(call.request.body, call.request.headers.get("content-type", ""))
        ids = file_ids(parts.get("file"))
        number = parts["audienceGroupId"].text.strip() if "audienceGroupId" in parts else ""
        note = parts["uploadDescription"].text if "uploadDescription" in parts else None
        with self._world.lock:
            audience = self._uploadable(call.owner, number_in(number))
            self._upload(call, audience, ids, note, "file")
        return json_response({}, 202)

    def _created(self, call: Context, name: str, ifa: bool, ids: list[str] | None, note: Any, place: str) -> Response:
        audience = self._new(call, "UPLOAD", name)
        audience.ifa = ifa
        if ids or place == "file":
            self._upload(call, audience, ids or [], note, place)
        else:
            check_note(note)
        return self._keep(audience)

    def _uploadable(self, channel: Channel, audience_id: object) -> Audience:
        audience = self._find(channel, audience_id)
        if audience.kind != "UPLOAD" or audience.route != "MESSAGING_API":
            raise refusal("AUDIENCE_GROUP_NOT_FOUND")
        if status(self._world, audience) == "EXPIRED":
            raise refusal("AUDIENCE_GROUP_CAN_NOT_UPLOAD_STATUS_EXPIRED")
        return audience

    def _upload(self, call: Context, audience: Audience, ids: list[str], note: Any, place: str) -> None:
        """Add ids as one job. Ids of people who gave no consent are passed over, those of nobody too."""
        check_note(note)
        shape = _IFA if audience.ifa else USER_ID
        if not all(shape.fullmatch(one) for one in ids):
            text = "Invalid audience id format" if place == "audiences" else None
            raise refusal("UPLOAD_AUDIENCE_GROUP_INVALID_AUDIENCE_ID_FORMAT", place, text)
        valid = [one.lower() for one in ids] if audience.ifa else self._consenting(call.owner, ids)
        if not valid:
            raise refusal("UPLOAD_AUDIENCE_GROUP_NO_VALID_AUDIENCE_IDS", place)
        now = self._world.clock.time()
        if sum(now < job.ready_at for job in audience.jobs) >= WORKING_MAX:
            # LINE documents the status of this refusal but not its text.
            raise ApiError(429, "The API rate limit has been exceeded. Try again later.")
        failed = call.fault is not None and call.fault.kind == "audience_failed"
        before = len(audience.members)
        if not failed:
            audience.members.update(dict.fromkeys(valid))
        done = now + self._world.settings.audience_seconds
        audience.jobs.append(Job(new_id(self._world), note, len(audience.members) - before, now, done, failed))
        audience.ready_at = max(audience.ready_at, done)
        self._world.state.next_sequence()

    def _consenting(self, channel: Channel, ids: Iterable[str]) -> list[str]:
        owners = self._world.state.owners
        known = ((one, owners.get(one)) for one in ids)
        return [one for one, owner in known if owner is not None and owner[0] == channel.provider and owner[1].consent]

    # -- retargeting

    def create_click(self, call: Context) -> Response:
        """Answer createClickBasedAudienceGroup: who tapped a link (or this link) of a broadcast or narrowcast. Raises ApiError 400."""
        url = call.body.get("clickUrl")
        found = Findings()
        if url is not None and found.text("clickUrl", url, 2000):
            found.url_scheme("clickUrl", url, ("http", "https", "line", "tel"))
        found.raise_if_any()
        return self._retarget(call, "CLICK", url or "")

    def create_imp(self, call: Context) -> Response:
        """Answer createImpBasedAudienceGroup: who saw a broadcast or narrowcast. Raises ApiError 400."""
        return self._retarget(call, "IMP", "")

    def _retarget(self, call: Context, kind: str, url: str) -> Response:
        name = audience_name(call.body.get("description"))
        request_id = call.body.get("requestId")
        found = Findings()
        found.text("requestId", request_id, 100)
        found.raise_if_any()
        report = self._report(call.owner, str(request_id))
        if self._world.clock.time() - report.at > RETARGET_SECONDS:
            raise refusal("TOO_OLD_MESSAGES")
        audience = self._new(call, kind, name)
        for other in self._book.of(call.owner, audience.created):
            if (other.kind, other.request_id, other.click_url) == (kind, request_id, url):
                raise refusal("AUDIENCE_GROUP_REQUESTID_DUPLICATE")
        audience.request_id, audience.sequence, audience.click_url = str(request_id), report.sequence, url
        return self._keep(audience)

    def _report(self, channel: Channel, request_id: str) -> Report:
        """Return the broadcast or narrowcast of this request id; only of these LINE makes audiences."""
        found = self._world.part(Reports).by_request.get(request_id)
        if found is None or found.delivered is None:
            raise refusal("REQUEST_NOT_FOUND")
        if found.channel_id != channel.id:
            raise refusal("WRONG_BOT_ID")
        return found

    # -- changing and reading

    def rename(self, call: Context) -> Response:
        """Answer updateAudienceGroupDescription. Raises ApiError 400."""
        name = audience_name(call.body.get("description"))
        self._find(call.owner, number_in(call.parameters["audienceGroupId"])).description = name
        self._world.state.next_sequence()
        return json_response({})

    def delete(self, call: Context) -> Response:
        """Answer deleteAudienceGroup. Raises ApiError 400."""
        audience = self._find(call.owner, number_in(call.parameters["audienceGroupId"]))
        del self._book.audiences[audience.id]
        self._world.state.next_sequence()
        return json_response({})

    def get(self, call: Context) -> Response:
        """Answer getAudienceData. Raises ApiError 400."""
        audience = self._find(call.owner, number_in(call.parameters["audienceGroupId"]))
        return json_response({"audienceGroup": self._describe(audience), "jobs": self._jobs(audience)})

    def get_shared(self, call: Context) -> Response:
        """Answer getSharedAudienceData, for shared audiences and the account's own. Raises ApiError 400."""
        audience = self._find(call.owner, number_in(call.parameters["audienceGroupId"]))
        owner = {"serviceType": "account", "id": call.owner.basic_id, "name": call.owner.name}
        if audience.shared:
            owner = {"serviceType": "bm", "id": f"{audience.id:026d}", "name": "Business Manager"}
        return json_response({"audienceGroup": self._describe(audience), "jobs": self._jobs(audience), "owner": owner})

    def listing(self, call: Context) -> Response:
        """Answer getAudienceGroups: newest first, in pages. Raises ApiError 400 for an invalid parameter."""
        query = parse_qs(call.request.query, keep_blank_values=True)
        boolean(query, "includesExternalPublicGroups")
        if "page" not in query:
            raise invalid("page: must not be null", "NULL")
        return self._page(call, query, lambda one: not one.shared)

    def shared_listing(self, call: Context) -> Response:
        """Answer getSharedAudienceGroups: shared audiences, with includesOwnedAudienceGroups=true the account's own too."""
        query = parse_qs(call.request.query, keep_blank_values=True)
        owned = boolean(query, "includesOwnedAudienceGroups")
        return self._page(call, query, lambda one: owned or one.shared)

    def _page(self, call: Context, query: dict[str, list[str]], listed: Callable[[Audience], bool]) -> Response:
        page, size = whole(query, "page", 1, _PAGE_MAX), whole(query, "size", 20, 40)
        routes, states = choices(query, "createRoute", ROUTES), choices(query, "status", _STATUSES)
        wanted = query.get("description", [""])[-1].casefold()
        found = [
            one
            for one in reversed(self._book.of(call.owner, self._world.clock.time()))
            if listed(one)
            and wanted in one.description.casefold()
            and (not routes or one.route in routes)
            and (not states or status(self._world, one) in states)
        ]
        shown = found[(page - 1) * size : page * size]
        return json_response(
            {
                "audienceGroups": [self._describe(one) for one in shown],
                "hasNextPage": page * size < len(found),
                "totalCount": len(found),
                "readWriteAudienceGroupTotalCount": sum(_permission(one) == "READ_WRITE" for one in found),
                "size": size,
                "page": page,
            }
        )

    @property
    def _book(self) -> AudienceBook:
        return self._world.part(AudienceBook)

    def _find(self, channel: Channel, audience_id: object) -> Audience:
        found = self._book.find(channel, audience_id, self._world.clock.time())
        if found is None:
            raise refusal("AUDIENCE_GROUP_NOT_FOUND")
        return found

    def _new(self, call: Context, kind: str, name: str) -> Audience:
        now = self._world.clock.time()
        if len(self._book.of(call.owner, now)) >= AUDIENCES_MAX:
            raise refusal("AUDIENCE_GROUP_COUNT_MAX_OVER")
        failed = call.fault is not None and call.fault.kind == "audience_failed"
        done = now + self._world.settings.audience_seconds
        return Audience(new_id(self._world), call.owner.id, kind, name, now, done, failed=failed)

    def _keep(self, audience: Audience) -> Response:
        self._book.audiences[audience.id] = audience
        self._world.state.next_sequence()
        content = self._describe(audience)
        for name in ("status", "audienceCount", "failedType"):
            content.pop(name, None)
        return json_response(content, 202)

    def _describe(self, audience: Audience) -> JsonObject:
        state = status(self._world, audience)
        content: JsonObject = {
            "audienceGroupId": audience.id,
            "createRoute": audience.route,
            "type": audience.kind,
            "description": audience.description,
            "status": state,
            "audienceCount": count(self._world, audience),
            "created": int(audience.created),
            "permission": _permission(audience),
            "isIfaAudience": audience.ifa,
            "expireTimestamp": int(audience.created + KEPT_SECONDS),
        }
        if state == "FAILED":
            content["failedType"] = "INTERNAL_ERROR"
        if audience.request_id:
            content["requestId"] = audience.request_id
        if audience.click_url:
            content["clickUrl"] = audience.click_url
        return content

    def _jobs(self, audience: Audience) -> list[JsonObject]:
        now = self._world.clock.time()
        return [
            {
                "audienceGroupJobId": job.id,
                "audienceGroupId": audience.id,
                "description": job.description,
                "type": "DIFF_ADD",
                "status": job_status(job, now),
                "failedType": "INTERNAL_ERROR" if job_status(job, now) == "FAILED" else None,
                "audienceCount": job.added,
                "created": int(job.created),
                "jobStatus": job_status(job, now),
            }
            for job in audience.jobs[-JOBS_SHOWN:]
        ]


def _permission(audience: Audience) -> str:
    return "READ_WRITE" if audience.route == "MESSAGING_API" and not audience.shared else "READ"
