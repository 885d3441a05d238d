"""`make key STAGE=prod`: issue the first API key of a deployment with your own AWS credentials; the token is shown this once."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError


def environment(stage: str, region: str) -> dict[str, str]:
    """Return the environment of the stage's functions. Raises ClientError or BotoCoreError."""
    make: Any = boto3.client
    found = make("lambda", region_name=region or None).get_function_configuration(FunctionName=f"enishi-{stage}-api")
    variables: dict[str, str] = found["Environment"]["Variables"]
    return variables


def main() -> None:
    """Issue a key with all scopes, or those that are named."""
    parser = argparse.ArgumentParser(description="Issue an API key.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--region", default="")
    parser.add_argument("--name", default="administrator")
    parser.add_argument("scopes", nargs="*", default=["*"])
    options = parser.parse_args()
    try:
        os.environ.update(environment(options.stage, options.region))
        if options.region:
            os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = options.region
        from chalicelib.wiring import world

        _, token = world().staff.issue(options.name, options.scopes)
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"キーを発行できません。ステージ名とAWSの認証情報を確かめてください / cannot issue a key: {error}")
    print(token)


if __name__ == "__main__":
    main()
