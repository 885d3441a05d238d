"""LIFF apps of a login channel: the server API, and what the SDK in a LIFF app calls."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.api.login import Login, preflight, readable_by_pages
from line_simulator.api.tokens import Tokens
from line_simulator.exchange import ApiError, Response, SimulatorError, json_response
from line_simulator.objects.findings import Findings
from line_simulator.pages.liff import LiffPages
from line_simulator.people.people import People
from line_simulator.webhooks.webhook_events import check_message
from line_simulator.world import login_book
from line_simulator.world.liff_book import APPS_MAX, LiffApp, LiffBook, is_local
from line_simulator.world.login_book import LoginBook
from line_simulator.world.state import JsonObject, World

_TYPES: Final = ("compact", "tall", "full")
_SCOPES: Final = ("openid", "email", "profile", "chat_message.write")
_PROMPTS: Final = ("normal", "aggressive", "none")
_MESSAGES_MAX: Final = 5
# LIFF API reference, liff.sendMessages(): what a user may send; of templates and flex messages no webhook tells.
_SENDABLE: Final = ("text", "sticker", "image", "video", "audio", "location", "template", "flex")
_SILENT: Final = ("template", "flex")
_NOT_FOUND: Final = "not found"


class Liff:
    """The LIFF operations. Callers hold the world's lock. Texts of errors are guesses, the status codes are documented."""

    def __init__(self, world: World, tokens: Tokens, login: Login) -> None:
        self._world = world
        self._tokens = tokens
        self._login = login
        self._people = People(world)
        self._pages = LiffPages(world, self._people, login.issue_for_liff)

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            **self._pages.operations(),
            "addLIFFApp": Operation(self.add, Reads.JSON, account=False),
            "getAllLIFFApps": Operation(self.list, account=False),
            "updateLIFFApp": Operation(self.update, Reads.JSON, account=False),
            "deleteLIFFApp": Operation(self.delete, account=False),
            "sendLiffMessages": Operation(
                readable_by_pages(self.send), Reads.JSON, account=False, partial="to the linked account only"
            ),
            "preflight": Operation(preflight, account=False, locked=False),
        }

    def add(self, call: Context) -> Response:
        """Answer addLIFFApp: at most thirty apps a channel."""
        channel_id = self._channel(call)
        if channel_id not in self._world.part(LoginBook).channels:
            raise ApiError(400, "LIFF apps can be added to LINE Login channels only")
        settings = _checked(call.body, whole=True)
        book = self._world.part(LiffBook)
        if len(book.of(channel_id)) >= APPS_MAX:
            raise ApiError(400, "The maximum number of LIFF apps that can be added to the channel has been reached")
        liff_id = f"{channel_id}-{self._world.ids.hex32()[:8]}"
        book.apps[liff_id] = LiffApp(liff_id, channel_id, settings)
        self._world.state.next_sequence()
        return json_response({"liffId": liff_id})

    def list(self, call: Context) -> Response:
        """Answer getAllLIFFApps; 404 when there is none."""
        apps = self._world.part(LiffBook).of(self._channel(call))
        if not apps:
            raise ApiError(404, _NOT_FOUND)
        return json_response({"apps": [app.describe() for app in apps]})

    def update(self, call: Context) -> Response:
        """Answer updateLIFFApp: what is not given stays."""
        app = self._app(call)
        changes = _checked(call.body, whole=False)
        for name in ("view", "features"):
            if name in changes:
                changes[name] = {**app.settings.get(name, {}), **changes[name]}
        app.settings = {**app.settings, **changes}
        self._world.state.next_sequence()
        return Response(200, b"")

    def delete(self, call: Context) -> Response:
        """Answer deleteLIFFApp."""
        del self._world.part(LiffBook).apps[self._app(call).id]
        self._world.state.next_sequence()
        return Response(200, b"")

    def _channel(self, call: Context) -> str:
        """Return the channel of the token. Short-lived and stateless tokens are taken (LIFF server API), other kinds get 403."""
        token = self._tokens.recognise(call.request.headers.get("authorization"))
        call.client_id = token.channel_id
        if token.channel_id in self._world.part(LoginBook).channels and token.kind not in ("short", "stateless"):
            raise ApiError(403, "Access to this API is not available for your account")
        return token.channel_id

    def _app(self, call: Context) -> LiffApp:
        channel_id = self._channel(call)
        app = self._world.part(LiffBook).apps.get(call.parameters["liffId"])
        if app is None or app.channel_id != channel_id:
            raise ApiError(404, _NOT_FOUND)
        return app

    def send(self, call: Context) -> Response:
        """Say messages in the user's name to the account linked to the LIFF app's channel, as liff.sendMessages() does."""
        token, person = self._login.user(call, "chat_message.write")
        channel = self._world.part(LoginBook).channels[token.channel_id]
        bot = login_book.linked_account(self._world, channel)
        if bot is None:
            raise ApiError(403, "No LINE Official Account is linked to the channel")
        found = Findings()
        messages = found.items("messages", call.body.get("messages"), 1, _MESSAGES_MAX)
        for index, message in enumerate(messages):
            if not isinstance(message, dict):
                found.add(f"messages[{index}]", "Must be an object")
            else:
                _check_message(found, f"messages[{index}]", message)
        found.raise_if_any()
        for message in messages:
            if message["type"] in _SILENT:
                self._people.show(person, bot, message)
            else:
                self._people.say(person, bot, _as_said(message))
        return json_response({})


def _check_message(found: Findings, path: str, message: JsonObject) -> None:
    if not found.one_of(f"{path}.type", message.get("type"), _SENDABLE):
        return
    if message["type"] == "text":
        found.text(f"{path}.text", message.get("text"), 5000)
    if message["type"] == "sticker":
        for name in ("packageId", "stickerId"):
            found.text(f"{path}.{name}", message.get(name), 20)
    if message["type"] in ("image", "video", "audio"):
        found.https_url(f"{path}.originalContentUrl", message.get("originalContentUrl"))
    if message["type"] not in _SILENT and not found.details:
        try:
            check_message(_as_said(message))
        except SimulatorError as error:
            found.add(path, str(error))


def _as_said(message: JsonObject) -> JsonObject:
    """Return a message as the webhook tells of it: media from a LIFF app lies at an external provider (webhook.yml)."""
    if message["type"] not in ("image", "video", "audio"):
        return message
    urls = {name: message[name] for name in ("originalContentUrl", "previewImageUrl") if isinstance(message.get(name), str)}
    return {"type": message["type"], "contentProvider": {"type": "external", **urls}}


def _checked(body: JsonObject, *, whole: bool) -> JsonObject:
    """Return the known settings of a request body. Raises ApiError 400 for wrong ones."""
    found = Findings()
    settings: JsonObject = {}
    view = found.mapping("view", body.get("view"), required=whole)
    if view is not None:
        settings["view"] = _view(found, view, whole=whole)
    if body.get("description") is not None and found.text("description", body["description"], 1000):
        # The name must not contain "LINE" or the like.
        if "line" in body["description"].lower():
            found.add("description", "must not contain LINE")
        settings["description"] = body["description"]
    features = found.mapping("features", body.get("features"), required=False)
    if features is not None:
        for name in ("ble", "qrCode"):
            found.boolean(f"features.{name}", features.get(name))
        settings["features"] = {name: features[name] for name in ("ble", "qrCode") if features.get(name) is not None}
    found.one_of("permanentLinkPattern", body.get("permanentLinkPattern"), ("concat",), required=False)
    if body.get("scope") is not None:
        settings["scope"] = _scopes(found, body["scope"])
    if found.one_of("botPrompt", body.get("botPrompt"), _PROMPTS, required=False):
        settings["botPrompt"] = body["botPrompt"]
    found.raise_if_any()
    return settings


def _view(found: Findings, view: JsonObject, *, whole: bool) -> JsonObject:
    found.one_of("view.type", view.get("type"), _TYPES, required=whole)
    if found.text("view.url", view.get("url"), 2000, required=whole):
        try:
            parts = urlsplit(view["url"])
            found.url_scheme("view.url", view["url"], ("https", "http") if is_local(parts) else ("https",))
        except ValueError:
            found.add("view.url", "invalid uri")
        if "#" in view["url"]:
            found.add("view.url", "must not contain a fragment")
    found.boolean("view.moduleMode", view.get("moduleMode"))
    return {name: view[name] for name in ("type", "url", "moduleMode") if view.get(name) is not None}


def _scopes(found: Findings, value: Any) -> list[str]:
    scopes = found.items("scope", value, 0, len(_SCOPES))
    for index, scope in enumerate(scopes):
        found.one_of(f"scope[{index}]", scope, _SCOPES)
    return scopes
