"""Every way in which the simulated LINE can fail on purpose, with one sentence each."""

from __future__ import annotations

from typing import Final

from line_simulator.api.operations import EXTRA, OPERATIONS, SHARED

# Refused before anything happens: status and LINE's text, from the examples of LINE's OpenAPI files and reference where there is one.
REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "rate_limited": (429, "The API rate limit has been exceeded. Try again later."),
    "monthly_limit": (429, "You have reached your monthly limit."),
    "unauthorized": (401, "Authentication failed due to the following reason: access token expired"),
    "forbidden": (403, "Access to this API is not available for your account"),
    "not_found": (404, "Not found"),
    "conflict": (409, "The retry key is already accepted"),
    "gone": (410, "The content is gone"),
    "too_large": (413, "Request entity too large"),
    "unsupported_media": (415, "The content type is not supported"),
    "error_before_accept": (500, "Internal Server Error"),
    "token_failing": (500, "Internal Server Error"),
    "next_token_expired": (400, "Invalid start param"),
}
API_FAULTS: Final[dict[str, str]] = {
    "rate_limited": "429, the rate limit is exceeded; nothing is accepted",
    "monthly_limit": "429, the monthly limit is reached; nothing is accepted",
    "unauthorized": "401, the token is refused as expired; nothing is accepted",
    "forbidden": "403, not available for the account; nothing is accepted",
    "not_found": "404; nothing is accepted",
    "conflict": "409, as if the retry key had been used before; nothing is accepted",
    "gone": "410, as for the content of a message that was unsent",
    "too_large": "413, the request is too large; nothing is accepted",
    "unsupported_media": "415, the content type is refused; nothing is accepted",
    "error_before_accept": "500; nothing is accepted",
    "error_after_accept": "500, although the call was accepted",
    "hang_before_accept": "no answer for `seconds`, then the connection closes; nothing is accepted",
    "hang_after_accept": "the call is accepted and answered after `seconds`",
    "drop_before_accept": "the connection closes without an answer; nothing is accepted",
    "drop_connection": "the call is accepted and the connection closes without an answer",
    "truncated_json": "the call is accepted and half of the JSON arrives",
    "clock_skew": "the Date header of the answer is `seconds` ahead",
    "token_slow": "calls that issue tokens are answered after `seconds`",
    "token_failing": "calls that issue tokens get 500, and no token is issued",
    "transcoding_slow": "a video or sound is still being prepared: status processing, and 202 without content",
    "transcoding_failed": "the preparation of a video or sound failed: status failed, and 404 without content",
    "insight_unready": "statistics say that they are not ready yet",
    "audience_failed": "the audience, or the upload into one, is accepted and fails",
    "narrowcast_failed": "the narrowcast is accepted and fails with the errorCode `code` (1)",
    "narrowcast_slow": "the narrowcast is accepted and waits `seconds` longer",
    "next_token_expired": "400 for a page asked for by a continuation token, as after a day",
}
WEBHOOK_FAULTS: Final[dict[str, str]] = {
    "webhook_duplicate": "delivered twice, without the redelivery flag",
    "webhook_burst": "delivered as `count` (30) events with ids of their own, one after the other",
    "webhook_reorder": "delivered after the next one",
    "webhook_delay": "delivered `seconds` later",
    "webhook_batch": "held until `count` events are together or `seconds` have passed, then sent in one body",
    "webhook_split": "the bytes of the body arrive in two pieces, `seconds` (at most 1) apart",
    "webhook_empty": "a body without events instead, as when the connection is checked",
    "webhook_redelivery": "carries the redelivery flag on its first delivery",
    "webhook_bad_signature": "the signature does not match",
    "webhook_no_signature": "the signature header is missing",
    "webhook_malformed": "the body is no JSON, though its signature matches",
    "webhook_unknown_event": "an event of an unknown type stands before it in the same body",
    "webhook_unknown_mode": "the mode is one that nobody knows",
    "webhook_unknown_value": "types inside the event (message, source, beacon, …) are ones that nobody knows",
    "webhook_extra_fields": "unknown fields are added",
    "webhook_no_user_id": "the source carries no userId",
    "webhook_no_is_unblocked": "a follow event without its follow property",
    "webhook_wrong_destination": "the destination is another account",
    "webhook_standby": "mode standby and no reply token",
    "webhook_escaped": "non-ASCII characters are written as \\u escapes",
    "webhook_oversized_text": "the text of the message is 100,000 characters long",
    "webhook_clock_skew": "the timestamp is `seconds` ahead of the clock",
    "webhook_lost": "never delivered",
    "webhook_stopped": "not sent while the rule stands, as when LINE suspends the webhooks of a server that keeps failing",
}
# What goes wrong in LINE Login and account linking; the areas ask Faults.struck for them.
LOGIN_FAULTS: Final[dict[str, str]] = {
    "login_denied": "the person agrees, and the app is told ACCESS_DENIED",
    "login_state_lost": "the way back carries another state and an invalid code, as after an automatic login that failed",
    "login_code_reused": "the code on the way back has been used already",
    "id_token_wrong_audience": "the ID token is for another channel",
    "id_token_wrong_issuer": "the ID token comes from elsewhere",
    "id_token_wrong_nonce": "the ID token carries another nonce",
    "id_token_wrong_algorithm": "the ID token is unsigned, alg none",
    "id_token_bad_signature": "the ID token is signed with another secret",
    "id_token_expired": "the ID token has expired an hour ago",
    "link_failed": "the owner agrees to link the account, and the event says failed",
    "link_no_webhook": "the owner agrees to link the account, and no event is sent",
}
# What goes wrong in other areas; they ask Faults.struck for them.
AREA_FAULTS: Final[dict[str, str]] = {}
FAULTS: Final = {**API_FAULTS, **WEBHOOK_FAULTS, **LOGIN_FAULTS, **AREA_FAULTS}

TOKEN_OPERATIONS: Final = frozenset(
    {"issueStatelessChannelToken", "issueChannelTokenByJWT", "issueChannelToken", "issueLoginToken"}
)
_CONTENT_OPERATIONS: Final = frozenset({"getMessageContent", "getMessageContentPreview", "getMessageContentTranscodingByMessageId"})
_AUDIENCE_MAKERS: Final = ("/upload", "/upload/byFile", "/click", "/imp")
KNOWN_OPERATIONS: Final = frozenset(operation_id for _, _, operation_id in OPERATIONS + EXTRA + SHARED)
# These kinds strike only here, whatever the other conditions say.
SCOPES: Final[dict[str, frozenset[str]]] = {
    "token_slow": TOKEN_OPERATIONS,
    "token_failing": TOKEN_OPERATIONS,
    "transcoding_slow": _CONTENT_OPERATIONS,
    "transcoding_failed": _CONTENT_OPERATIONS,
    "gone": _CONTENT_OPERATIONS | {"closeCoupon"},
    "narrowcast_failed": frozenset({"narrowcast"}),
    "narrowcast_slow": frozenset({"narrowcast"}),
    "audience_failed": frozenset(
        operation_id for _, path, operation_id in OPERATIONS if "/audienceGroup/" in path and path.endswith(_AUDIENCE_MAKERS)
    ),
    "insight_unready": frozenset(
        operation_id for _, path, operation_id in OPERATIONS if "/insight/" in path or path.startswith("/v2/bot/message/delivery/")
    ),
}
