"""AWS clients, made on first use, and the one place that says which of their errors may pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from chalicelib.kernel.errors import PermanentError, TemporaryError

# Parameter validation checks our own code's arguments against the service model on every call: worth it in tests, a tenth
# of a millisecond a call in the webhook door. Tests switch it on (tests/conftest.py).
VALIDATE_PARAMETERS = False

_TEMPORARY = {
    "InternalServerError",
    "InternalFailure",
    "ItemCollectionSizeLimitExceededException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "StateMachineDeleting",
    "Throttling",
    "ThrottlingError",
    "ThrottlingException",
    "ThroughputExceeded",
    "TooManyRequestsException",
    "TransactionConflict",
    "TransactionConflictException",
}


# These send something that cannot be taken back and know no idempotency: botocore must not send it again by itself.
_ONCE = {"sesv2", "sns"}
# Errors that rise before a request has left.
_UNSENT = (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError)


@lru_cache(maxsize=32)
def client(service: str, *, once: bool = False) -> Any:
    """Return this process's client of an AWS service; short time-outs, because every caller is retried from outside.

    once: never repeat a request, because the caller must know whether the first one may have been done.
    """
    config = Config(
        connect_timeout=3,
        read_timeout=20,
        retries={"mode": "standard", "total_max_attempts": 1 if once or service in _ONCE else 3},
        parameter_validation=VALIDATE_PARAMETERS and service != "dynamodb",  # whose client does it itself
        signature_version="s3v4" if service == "s3" else None,  # SigV2 URLs of boto3's default never expire on MiniStack
        max_pool_connections=20,
        user_agent="enishi",  # botocore builds its long one on every request: a third of the CPU of a SendMessage
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    if service == "dynamodb":
        from chalicelib.adapters.dynamodb_json import make_client  # the webhook door needs neither it nor msgspec

        return make_client(config, validate=VALIDATE_PARAMETERS)
    make: Any = boto3.client  # the stubs want a literal name
    return make(service, config=config)


def code_of(error: ClientError) -> str:
    """Return AWS's word for what went wrong."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(what: str, *, maybe_done: bool = False) -> Iterator[None]:
    """Turn botocore's errors into ours: throttling and no answer are temporary, everything else is permanent."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = code_of(error)
        if code in _TEMPORARY or "Throttl" in code or status == 429 or status >= 500:  # SNS: Throttled, KMS: KMSThrottlingException
            raise TemporaryError(f"{what}: {code_of(error)}", maybe_done=maybe_done and status >= 500) from error
        raise PermanentError(f"{what}: {code_of(error)}") from error
    except ParamValidationError as error:
        raise PermanentError(f"{what}: {type(error).__name__}") from error
    except BotoCoreError as error:
        raise TemporaryError(f"{what}: {type(error).__name__}", maybe_done=maybe_done and not isinstance(error, _UNSENT)) from error
