"""Amazon S3."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.aws import client, code_of, translated


class S3Files:
    """Implements ports.files.Files."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, key: str, content: bytes, content_type: str) -> None:
        """Write a file whole; see the port."""
        with translated("PutObject"):
            client("s3").put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type)

    def get(self, key: str) -> bytes | None:
        """Return a file's content; see the port."""
        with translated("GetObject"):
            try:
                answer = client("s3").get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "404"):
                    return None
                raise
            content: bytes = answer["Body"].read()
        return content

    def list(self, prefix: str) -> list[str]:
        """Return the keys below a prefix; see the port."""
        keys: list[str] = []
        arguments: dict[str, Any] = {"Bucket": self._bucket, "Prefix": prefix}
        while True:
            with translated("ListObjectsV2"):
                answer = client("s3").list_objects_v2(**arguments)
            keys += [entry["Key"] for entry in answer.get("Contents", [])]
            if not answer.get("IsTruncated"):
                return keys
            arguments["ContinuationToken"] = answer["NextContinuationToken"]

    def upload_url(self, key: str, content_type: str, expires_seconds: int) -> str:
        """Return an address that takes one PUT; see the port."""
        arguments = {"Bucket": self._bucket, "Key": key, "ContentType": content_type}
        url: str = client("s3").generate_presigned_url("put_object", Params=arguments, ExpiresIn=expires_seconds)
        return url

    def download_url(self, key: str, expires_seconds: int) -> str:
        """Return an address that gives the file; see the port."""
        arguments = {"Bucket": self._bucket, "Key": key}
        url: str = client("s3").generate_presigned_url("get_object", Params=arguments, ExpiresIn=expires_seconds)
        return url
