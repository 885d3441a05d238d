"""What an answer rests on where LINE's documents are silent or disagree, by operationId: what of it is guessed, and how."""

from __future__ import annotations

from typing import Final

_ASSERTIONS: Final = "texts for a wrong assertion but those of exp, iss and the missing key"
_SENT: Final = "whether few are hidden (Settings.small_delivery_counts_hidden)"
_UNITS: Final = "whether units need an application (Settings.units_corporate_only)"
_UPLOADS: Final = "how long it takes; ids of nobody are passed over while one is somebody's; some texts"
_SHARED: Final = "the order; what refuses parameters"
_USER_TOKENS: Final = "texts for tokens that are invalid, expired or lack the scope"
_LIFF: Final = "texts of refusals; which kinds of channel access tokens are taken"
_INSIDE: Final = "places and texts inside templates, flex and textV2, but those that public issues quote"
_QUOTES: Final = _INSIDE + "; texts for a quoteToken, mention or trackingId that the chat cannot have"
_MENU_IS_GONE: Final = "links, aliases and the default of a deleted menu stay and count as none"
_OPTION: Final = "the refusal without the contract"
_ATTACHING: Final = "how the page looks; texts of refusals; a code lives ten minutes"
_INSIGHT: Final = "when LINE counts a menu as seen, and which days it reports"

# Where sources disagree: what one of them says, and what is done here.
CONTRADICTED: Final[dict[str, str]] = {
    "multicast": "ids of other providers: 400, as the error table says; the prose says 200 (Settings.multicast_foreign_id). "
    "Hyphens in names of units are refused, as the reference says; an example of the guide has them",
    "narrowcast": "a quota below the target reach fails the delivery, as the reference says; the guide says the call. Guessed: how "
    "long phases take, errorCode 1 for it, who fits the opposite of a filter, texts for malformed objects",
    **dict.fromkeys((f"getNumberOfSent{via}Messages" for via in ("Reply", "Push", "Multicast", "Broadcast")), _SENT),
    **dict.fromkeys(("getPNPMessageStatistics", "getPNPTemplatedMessageStatistics"), _SENT + "; guessed: " + _OPTION),
    "detachModule": "the reason is required, as the specification says; the reference has none",
    "getAggregationUnitUsage": _UNITS,
    "getAggregationUnitNameList": _UNITS,
    "getStatisticsPerUnit": _UNITS + "; guessed: how many days statistics take (Settings.statistics_delay_days)",
    "richMenuBatch": "202, as the specification says; the prose of the reference says 200. Guessed: how long it takes",
    "getRichMenuBatchProgress": "100 calls an hour; some sections say 2,000 a second (Settings.rich_menu_progress_limit)",
    "deleteAudienceGroup": "200, as the specification says; the reference says 202",
    "revokeChannelTokenByJWT": "malformed tokens are refused, unknown ones pass: a note says none is an error, a table says 400",
    "authorizeLogin": "friendship_status_changed comes with every consent page of a bot_prompt; one sentence has it false for friends, "
    "another leaves it out where the option is not shown. Guessed: prompt=none without consent, which parameters are refused",
    "answerLogin": "friendship_status_changed as in authorizeLogin",
    "getOpenIdConfiguration": "lists ES256 only, as LINE's does, though web apps get HS256 (guide on ID tokens)",
}
GUESSED: Final[dict[str, str]] = {
    "getMessageContent": "how long content is kept (Settings.content_seconds); the answer for one that could not be prepared",
    "getMessageContentPreview": "the answer for one that could not be prepared",
    "getMessageContentTranscodingByMessageId": "how long it takes (Settings.transcoding_seconds)",
    "replyMessage": "tokens end after exactly a minute, of which LINE only says that more is not guaranteed "
    "(Settings.strict_reply_tokens); the answer to a group that was left; " + _QUOTES,
    "pushMessage": "no 429 for flooding one user, whose bound LINE keeps secret; " + _QUOTES,
    **dict.fromkeys((f"validate{kind}" for kind in ("Reply", "Push", "Multicast", "Narrowcast", "Broadcast")), _INSIDE),
    "broadcast": _INSIDE,
    "markMessagesAsReadByToken": "the answer while chat is off in the response settings",
    "deleteRichMenu": _MENU_IS_GONE,
    "getRichMenuIdOfUser": _MENU_IS_GONE,
    "getDefaultRichMenuId": _MENU_IS_GONE,
    "getRichMenuAlias": _MENU_IS_GONE,
    "getRichMenuAliasList": _MENU_IS_GONE,
    "createRichMenu": "text beyond a thousand menus",
    "createRichMenuAlias": "text beyond a thousand aliases",
    "setRichMenuImage": "texts for images of wrong kind or size",
    **dict.fromkeys(("linkRichMenuIdToUsers", "unlinkRichMenuIdFromUsers"), "how long it takes (Settings.rich_menu_bulk_seconds)"),
    "validateRichMenuBatchRequest": "text for a malformed resumeRequestKey",
    "getRichMenuInsightSummary": _INSIGHT,
    "getRichMenuInsightDaily": _INSIGHT,
    "createCoupon": "texts for a wrong period and for prices that do not belong to the reward",
    "listCoupon": "newest first; how values of status are joined",
    "closeCoupon": "a coupon whose period is over is refused like one closed before",
    "getMembershipSubscription": "the text for people who are no members; how months and the next billing day are counted",
    "getJoinedMembershipUsers": "members who are no friends any more are left out",
    "issueStatelessChannelToken": _ASSERTIONS,
    "getsAllValidChannelAccessTokenKeyIds": _ASSERTIONS,
    "issueChannelTokenByJWT": _ASSERTIONS,
    "verifyChannelTokenByJWT": "stateless tokens are taken; the text for tokens that never existed",
    "issueChannelToken": "text for missing parameters",
    "verifyChannelToken": "what makes a format invalid",
    "revokeChannelToken": "what makes a format invalid",
    "getNumberOfMessageDeliveries": "kinds of which nothing was sent are left out",
    "getNumberOfFollowers": "whom LINE counts as reachable",
    "getMessageEvent": "the answer for unknown request ids; how many days statistics take (Settings.statistics_delay_days)",
    "getFriendsDemographics": "whom LINE counts as reachable",
    "createAudienceGroup": _UPLOADS,
    "addAudienceToAudienceGroup": _UPLOADS,
    "createAudienceForUploadingUserIds": _UPLOADS,
    "addUserIdsToAudience": _UPLOADS,
    **dict.fromkeys(
        ("createClickBasedAudienceGroup", "createImpBasedAudienceGroup"), "how long it takes (Settings.audience_seconds)"
    ),
    "getAudienceGroups": _SHARED,
    "getSharedAudienceData": "the owner of what is shared",
    "getSharedAudienceGroups": _SHARED,
    "verifyIdToken": "the answer for unknown client ids; ID tokens live an hour",
    **dict.fromkeys(("getUserInfo", "postUserInfo", "getLoginProfile"), _USER_TOKENS),
    "getFriendshipStatus": "false where no account is linked; " + _USER_TOKENS,
    "deauthorizeUser": "the answer to other kinds of channel access tokens",
    "issueLoginToken": "all texts but the one for refresh tokens",
    "revokeLoginToken": "the answer for tokens of other channels",
    "pushMessagesByPhone": _OPTION + "; the text for a malformed delivery tag",
    "pushTemplatedMessagesByPhone": "texts for doubled and unknown buttons",
    "markMessagesAsRead": _OPTION,
    **dict.fromkeys(("attachModule", "authorizeModule", "answerModule"), _ATTACHING),
    "acquireChatControl": "the end of control without one is the year 9999; how long 423 lasts; texts",
    "releaseChatControl": "a channel that does not lead is answered 200; texts",
    "getModules": _OPTION,
    "openAccountLink": "how the page looks; an error page for wrong nonces",
    "answerAccountLink": "a link token is used up by a failure too",
    **dict.fromkeys(("addLIFFApp", "getAllLIFFApps", "updateLIFFApp", "deleteLIFFApp"), _LIFF),
    **dict.fromkeys(("openLiffApp", "answerLiffApp"), "how the pages look"),
    "sendLiffMessages": "its address and form; LINE documents the method of the SDK only",
}
# What is documented, and done otherwise on purpose.
DIFFERENT: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("setWebhookEndpoint", "testWebhookEndpoint"),
        "plain http is taken, so that bots can be tested on one machine; LINE wants https",
    ),
    "showLoadingAnimation": "shown in every friend's chat, since phones here have none open or closed",
}


def evidence_of(operation_id: str) -> str:
    """Return what an answer rests on: documented, contradicted or guessed."""
    if operation_id in CONTRADICTED:
        return "contradicted"
    return "guessed" if operation_id in GUESSED else "documented"


def note_of(operation_id: str, partial: str) -> str:
    """Return what is missing, different, guessed or contradicted; empty if nothing is."""
    parts = (partial, *(table.get(operation_id, "") for table in (DIFFERENT, CONTRADICTED, GUESSED)))
    return "; ".join(part for part in parts if part)
