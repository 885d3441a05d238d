"""DynamoDB's JSON as it is, without botocore's walk over the service model.

botocore turns every value of every item over in Python, twice: out and in. DynamoDB's own form needs neither, for what we
send and read is its JSON already (docs/decisions/0011). Signing, endpoints, retries, errors and events stay botocore's.
"""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import msgspec
from botocore.config import Config
from botocore.exceptions import HTTPClientError, ParamValidationError
from botocore.parsers import ResponseParserFactory
from botocore.validate import ParamValidator

_BODY = "enishi_body"


def make_client(config: Config, *, validate: bool) -> Any:
    """Return a DynamoDB client that takes and gives the wire's own JSON. validate: check arguments by the service model."""
    session = botocore.session.get_session()
    session.register_component("response_parser_factory", _Parsers())
    made: Any = boto3.Session(botocore_session=session).client("dynamodb", config=config)

    def take(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> dict[str, Any]:
        if validate:
            report = ParamValidator().validate(params, model.input_shape)
            if report.has_errors():
                raise ParamValidationError(report=report.generate_report())
        context[_BODY] = msgspec.json.encode(params)
        # The endpoint's rules look at the names of the tables, and at nothing else.
        return {name: {table: type(entry)() for table, entry in params[name].items()} for name in params if name == "RequestItems"}

    def put(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        params["body"] = context[_BODY]

    made.meta.events.register("provide-client-params.dynamodb", take)
    made.meta.events.register("before-call.dynamodb", put)
    return made


class _Parsers(ResponseParserFactory):
    def create_parser(self, protocol_name: str) -> Any:
        return _Parser(super().create_parser(protocol_name))


class _Parser:
    """Reads an answer as JSON; leaves refusals to botocore's own parser."""

    def __init__(self, refusals: Any) -> None:
        self._refusals = refusals

    def parse(self, response: dict[str, Any], shape: Any) -> Any:
        status = response["status_code"]
        if status >= 300:
            return self._refusals.parse(response, shape)
        try:
            answer = msgspec.json.decode(response["body"] or b"{}")
        except msgspec.DecodeError as error:
            raise HTTPClientError(error="the answer was cut short") from error
        headers = {name.lower(): value for name, value in response["headers"].items()}
        answer["ResponseMetadata"] = {"HTTPStatusCode": status, "HTTPHeaders": headers}
        return answer
