"""AWS Step Functions."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.aws import client, code_of, translated
from chalicelib.kernel.errors import NotFoundError


class StepFunctions:
    """Implements ports.machines.Machines."""

    def __init__(self, arn_prefix: str, role_arn: str) -> None:
        self._arn_prefix = arn_prefix
        self._role_arn = role_arn

    def publish(self, name: str, definition: dict[str, Any]) -> None:
        """Create the state machine of this name; see the port."""
        text = json.dumps(definition, ensure_ascii=False)
        with translated("CreateStateMachine"):
            try:
                client("stepfunctions").create_state_machine(name=name, definition=text, roleArn=self._role_arn, type="STANDARD")
            except ClientError as error:
                if code_of(error) != "StateMachineAlreadyExists":
                    raise
                # Left by a publishing that broke off; the drawing may have changed since.
                arn = self._arn_prefix + name
                if json.loads(client("stepfunctions").describe_state_machine(stateMachineArn=arn)["definition"]) != definition:
                    client("stepfunctions").update_state_machine(stateMachineArn=arn, definition=text)

    def start(self, name: str, execution: str, data: dict[str, Any]) -> None:
        """Start an execution under its own name; see the port."""
        with translated("StartExecution"):
            try:
                client("stepfunctions").start_execution(
                    stateMachineArn=self._arn_prefix + name, name=execution, input=json.dumps(data)
                )
            except ClientError as error:
                if code_of(error) == "StateMachineDoesNotExist":
                    raise NotFoundError("machine.unknown", name=name) from error
                if code_of(error) != "ExecutionAlreadyExists":
                    raise

    def delete(self, name: str) -> None:
        """Delete a machine; see the port."""
        with translated("DeleteStateMachine"):
            client("stepfunctions").delete_state_machine(stateMachineArn=self._arn_prefix + name)
