"""Amazon EventBridge Scheduler: one-off schedules in UTC that delete themselves."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.aws import client, code_of, translated
from chalicelib.kernel.clock import aware


class EventBridgeSchedules:
    """Implements ports.schedules.Schedules."""

    def __init__(self, group: str, target_arn: str, role_arn: str) -> None:
        self._group = group
        self._target = {"Arn": target_arn, "RoleArn": role_arn}

    def at(self, name: str, moment: datetime, event: dict[str, Any]) -> None:
        """Call the ticks function at `moment`; see the port."""
        arguments = {
            "Name": name,
            "GroupName": self._group,
            # UTC, because MiniStack knows no schedule time zones and JST has no summer time to lose.
            "ScheduleExpression": f"at({aware(moment):%Y-%m-%dT%H:%M:%S})",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE",
            "Target": {**self._target, "Input": json.dumps(event), "RetryPolicy": {"MaximumRetryAttempts": 20}},
        }
        with translated("CreateSchedule"):
            try:
                client("scheduler").create_schedule(**arguments)
            except ClientError as error:
                if code_of(error) != "ConflictException":
                    raise
                client("scheduler").update_schedule(**arguments)

    def cancel(self, name: str) -> None:
        """Forget a schedule; see the port."""
        with translated("DeleteSchedule"):
            try:
                client("scheduler").delete_schedule(Name=name, GroupName=self._group)
            except ClientError as error:
                if code_of(error) != "ResourceNotFoundException":
                    raise
