"""The four tables as PynamoDB sees them; rooms derive their items from these. Imported by table.py files alone."""

from __future__ import annotations

import os

from pynamodb.attributes import UnicodeAttribute
from pynamodb.connection import Connection
from pynamodb.exceptions import PutError, PynamoDBException
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model

from chalicelib.settings import settings

_SETTINGS = settings()
_REGION = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "ap-northeast-1"


class _Keyed(Model):
    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class CoreItem(_Keyed):
    """One item of a person: profile, statistics, friendship, tags; or the pointer from an identity to a person."""

    class Meta:
        table_name = _SETTINGS.core_table
        region = _REGION


class TimelineItem(_Keyed):
    """One thing that happened."""

    class Meta:
        table_name = _SETTINGS.timeline_table
        region = _REGION


class EngineItem(_Keyed):
    """One piece of work in flight: enrollment, cohort, frozen batch."""

    class Meta:
        table_name = _SETTINGS.engine_table
        region = _REGION


class ConfigItem(_Keyed):
    """One thing that staff made: account, key, tag, template, campaign, scenario."""

    class Meta:
        table_name = _SETTINGS.config_table
        region = _REGION


def is_lost(error: PynamoDBException) -> bool:
    """Say whether a conditional write lost: not an error but an answer."""
    return error.cause_response_code == "ConditionalCheckFailedException"


def saved(item: Model, condition: Condition | None) -> bool:
    """Write an item on a condition; return False when the condition does not hold."""
    try:
        item.save(condition=condition)
    except PutError as error:
        if is_lost(error):
            return False
        raise
    return True


def connection() -> Connection:
    """Return what writes of several items together, all or none, go through."""
    return Connection(region=_REGION)
