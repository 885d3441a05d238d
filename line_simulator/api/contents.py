"""The bytes of images, videos, audio and files that people sent."""

from __future__ import annotations

from typing import Final

from line_simulator.api.calls import Context, Operation
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.media import preview
from line_simulator.webhooks.webhook_events import forget_old_content
from line_simulator.world.state import Content, World

_PREPARED: Final = ("video", "audio")
_PREVIEWED: Final = ("image", "video")


class Contents:
    """Getting content (reference, Getting content): 404 for unknown ids, 410 when unsent or deleted."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            "getMessageContent": Operation(self._content),
            "getMessageContentPreview": Operation(self._preview, partial="the preview of a video is a plain picture"),
            "getMessageContentTranscodingByMessageId": Operation(self._transcoding),
        }

    def _content(self, call: Context) -> Response:
        content = self._find(call)
        return self._unless_prepared(call, content) or Response(200, content.data, content.content_type)

    def _preview(self, call: Context) -> Response:
        content = self._find(call)
        if content.kind not in _PREVIEWED:
            raise ApiError(400, "The content can not be previewed")
        return self._unless_prepared(call, content) or Response(200, preview(content.kind, content.data), "image/jpeg")

    def _transcoding(self, call: Context) -> Response:
        content = self._find(call)
        if content.kind not in _PREPARED:
            raise ApiError(400, "Transcoding status doesn't support this type of content")
        return json_response({"status": self._status(call, content)})

    def _find(self, call: Context) -> Content:
        forget_old_content(self._world)
        content = self._world.state.contents.get(call.parameters["messageId"])
        if content is None or content.channel_id != call.owner.id:
            raise ApiError(404, "not found")
        if content.gone:
            raise ApiError(410, "The content is gone")
        return content

    def _unless_prepared(self, call: Context, content: Content) -> Response | None:
        match self._status(call, content):
            case "processing":
                return json_response({}, 202)
            case "failed":
                # No document tells what is answered for content that cannot be prepared.
                raise ApiError(404, "not found")
        return None

    def _status(self, call: Context, content: Content) -> str:
        fault = call.fault.kind if call.fault else ""
        if content.kind not in _PREPARED:
            return "succeeded"
        if fault == "transcoding_failed":
            return "failed"
        ready_at = content.at + self._world.settings.transcoding_seconds
        waits = fault == "transcoding_slow" or self._world.clock.time() < ready_at
        return "processing" if waits else "succeeded"
