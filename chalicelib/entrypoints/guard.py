"""What Chalice says by itself, said our way: problems for machines, pages for people, and no stack trace in any log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from chalice.app import Chalice, Response

from chalicelib.entrypoints.public import page

_WORDS = {
    400: ("api.request_malformed", "リクエストが正しくありません。", "The request is malformed."),
    404: ("resource.unknown", "見つかりません。", "Not found."),
    405: ("api.method_unknown", "このメソッドは使えません。", "This method is not allowed here."),
    415: ("api.content_type_unknown", "Content-Type は application/json にしてください。", "Send Content-Type: application/json."),
    500: ("api.failed", "処理中に問題が起きました。もう一度お試しください。", "Something went wrong; try again."),
}
_MACHINES = ("/v1/", "/webhook/", "/hooks/", "/site/", "/health")


def watch(app: Chalice) -> None:
    """Put Chalice's own refusals and its log under the rules of the house."""
    app.register_middleware(_rephrase, "http")
    app.log.addFilter(_forget_texts)


def _rephrase(event: Any, get_response: Callable[[Any], Response]) -> Response:
    response = get_response(event)
    # Chalice's own answers are dicts; ours are text by the time they come here.
    if not isinstance(response.body, dict):
        return response
    path = str(getattr(event, "path", "/v1/"))
    code, japanese, english = _WORDS.get(response.status_code, _WORDS[500])
    if not path.startswith(_MACHINES):
        return page(response.status_code, "表示できませんでした", f"{japanese} / {english}")
    problem = {
        "type": f"https://enishi.dev/problems/{code}",
        "title": japanese,
        "detail": english,
        "status": response.status_code,
        "code": code,
    }
    headers = {**response.headers, "Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    return Response(body=json.dumps(problem, ensure_ascii=False), status_code=response.status_code, headers=headers)


def _forget_texts(record: logging.LogRecord) -> bool:
    # An exception's text may quote what a customer sent; its type and place say enough.
    if record.exc_info and record.exc_info[0]:
        error = record.exc_info[1]
        trace = error.__traceback__ if error else None
        while trace and trace.tb_next:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
        record.msg = f"{record.getMessage()}: {record.exc_info[0].__name__} at {place}"
        record.args, record.exc_info, record.exc_text = (), None, None
    return True
