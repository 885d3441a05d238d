"""Where the official documents lag behind LINE's reference, or contradict it: each place is named and amended here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Documents = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Drift:
    """`subject` differs from the OpenAPI documents for `reason`; `amend` changes them to what LINE does."""

    subject: str
    reason: str
    amend: Callable[[Documents], None]


def _schemas(documents: Documents, file: str) -> dict[str, Any]:
    found: dict[str, Any] = documents[file]["components"]["schemas"]
    return found


def _message_edited(documents: Documents) -> None:
    schemas = _schemas(documents, "webhook")
    schemas["Event"]["discriminator"]["mapping"]["messageEdited"] = "#/components/schemas/MessageEditedEvent"
    schemas["MessageEditedEvent"] = {
        "allOf": [
            {"$ref": "#/components/schemas/Event"},
            {
                "type": "object",
                "required": ["message"],
                "properties": {"replyToken": {"type": "string"}, "message": {"$ref": "#/components/schemas/MessageContent"}},
            },
        ]
    }


def _uncounted_friends(documents: Documents) -> None:
    for name, schema in _schemas(documents, "insight")["GetNumberOfFollowersResponse"]["properties"].items():
        if name != "status":
            schema["nullable"] = True


def _unsent_narrowcast(documents: Documents) -> None:
    _schemas(documents, "insight")["GetMessageEventResponseOverview"]["properties"]["delivered"]["nullable"] = True


def _unit_error(documents: Documents) -> None:
    nothing = {"type": "object", "properties": {name: {"enum": [None]} for name in ("message", "key", "stacktrace", "code")}}
    answers = documents["insight"]["paths"]["/v2/bot/insight/message/event/aggregation"]["get"]["responses"]
    answers["400"] = {"content": {"application/json": {"schema": nothing}}}


def _coupon_statuses(documents: Documents) -> None:
    parameters = documents["messaging-api"]["paths"]["/v2/bot/coupon"]["get"]["parameters"]
    status = next(one for one in parameters if one["name"] == "status")
    status["schema"]["items"] = {"type": "string", "pattern": "^(DRAFT|RUNNING|CLOSED)(,(DRAFT|RUNNING|CLOSED))*$"}


def _audience_properties(documents: Documents) -> None:
    schemas = _schemas(documents, "manage-audience")
    schemas["AudienceGroup"]["properties"]["expireTimestamp"] = {"type": "integer"}
    job = schemas["AudienceGroupJob"]["properties"]
    job["status"] = {"type": "string"}
    job["description"]["nullable"] = True
    job["failedType"] = {"type": "string", "nullable": True, "enum": [*schemas["AudienceGroupJobFailedType"]["enum"], None]}
    answers = schemas["CreateClickBasedAudienceGroupResponse"]["properties"]
    for name, schema in answers.items():
        if name != "clickUrl":
            schemas["CreateImpBasedAudienceGroupResponse"]["properties"].setdefault(name, schema)


def _shared_audiences(documents: Documents) -> None:
    _schemas(documents, "manage-audience")["AudienceGroupCreateRoute"]["enum"] += ["BUSINESS_MANAGER", "YAHOO_DISPLAY_ADS"]
    parameters = documents["manage-audience"]["paths"]["/v2/bot/audienceGroup/shared/list"]["get"]["parameters"]
    next(one for one in parameters if one["name"] == "page")["required"] = False


def _content_in_preparation(documents: Documents) -> None:
    paths = documents["messaging-api"]["paths"]
    for tail in ("content", "content/preview"):
        answers = paths[f"/v2/bot/message/{{messageId}}/{tail}"]["get"]["responses"]
        answers["202"] = {"content": {"application/json": {"schema": {"type": "object"}}}}


def _rich_menu_refusals(documents: Documents) -> None:
    error = {"$ref": "#/components/schemas/ErrorResponse"}
    for path, methods in documents["messaging-api"]["paths"].items():
        for method in ("get", "post", "delete") if "/richmenu" in path else ():
            for status in ("400", "403", "404") if method in methods else ():
                methods[method]["responses"].setdefault(status, {"content": {"application/json": {"schema": error}}})


def _nothing(_documents: Documents) -> None:
    """What the judge itself takes into account."""


KNOWN_DRIFT: tuple[Drift, ...] = (
    Drift(
        "requests, properties that are null",
        "read as if they were left out, as servers commonly do; the OpenAPI allows no null, LINE's reference is silent",
        _nothing,
    ),
    Drift(
        "rich menus: details of refusals",
        "LINE's reference shows an empty list of details there, which the OpenAPI's words (not its schema) leave out",
        _rich_menu_refusals,
    ),
    Drift(
        "audiences: expireTimestamp, jobs, answer of createImpBasedAudienceGroup",
        "LINE's reference and the OpenAPI's own examples have properties and nulls that its schemas lack",
        _audience_properties,
    ),
    Drift(
        "getSharedAudienceGroups",
        "LINE's reference makes page optional and knows two more values of createRoute",
        _shared_audiences,
    ),
    Drift(
        "getNumberOfFollowers, not ready",
        "LINE's reference answers null for the three numbers then, the OpenAPI allows integers only",
        _uncounted_friends,
    ),
    Drift(
        "getMessageEvent, delivered",
        "null until everything is sent, says its own description, which the OpenAPI does not allow",
        _unsent_narrowcast,
    ),
    Drift(
        "getStatisticsPerUnit, 400",
        "LINE's reference shows an error body of four nulls",
        _unit_error,
    ),
    Drift(
        "listCoupon, status",
        "LINE's reference writes several statuses with commas, the OpenAPI repeats the parameter",
        _coupon_statuses,
    ),
    Drift(
        "getMessageContent and its preview, 202",
        "LINE's reference answers 202 while a video or sound is being prepared, the OpenAPI lists 200 only",
        _content_in_preparation,
    ),
    Drift(
        "webhook event messageEdited",
        "LINE's reference (news of 2026-08-12) and the SDKs 3.27 and 11.2 have it, line-openapi 6e4c2a2 has not",
        _message_edited,
    ),
)
