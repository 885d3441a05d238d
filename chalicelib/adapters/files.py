"""Amazon S3."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.adapters.aws import client, code_of, translated
from chalicelib.kernel.errors import TemporaryError

_MISSING = ("NoSuchKey", "404")
_MOST_AT_ONCE = 1_000  # S3: DeleteObjects


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
        found = self.get_tagged(key)
        return found[0] if found else None

    def put_if(self, key: str, content: bytes, content_type: str, tag: str) -> str | None:
        """Write a file in the place of a known one; see the port."""
        guard = {"IfMatch": tag} if tag else {"IfNoneMatch": "*"}
        with translated("PutObject"):
            try:
                answer = client("s3").put_object(Bucket=self._bucket, Key=key, Body=content, ContentType=content_type, **guard)
            except ClientError as error:
                # 409: two such writes at one instant; 404: the known one is gone (S3 user guide, conditional writes).
                if code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409", "404"):
                    return None
                raise
        return str(answer["ETag"])

    def get_tagged(self, key: str) -> tuple[bytes, str] | None:
        """Return a file's content and tag; see the port."""
        with translated("GetObject"):
            try:
                answer = client("s3").get_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in _MISSING:
                    return None
                raise
            return answer["Body"].read(), str(answer["ETag"])

    def fetch(self, key: str, path: Path) -> bool:
        """Copy a file to this machine; see the port."""
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with translated("GetObject"):
            try:
                client("s3").download_file(self._bucket, key, str(part))
            except ClientError as error:
                if code_of(error) in _MISSING:
                    return False
                raise
        part.replace(path)
        return True

    def send(self, path: Path, key: str, content_type: str) -> None:
        """Copy a file of this machine; see the port."""
        with translated("PutObject"):
            client("s3").upload_file(str(path), self._bucket, key, ExtraArgs={"ContentType": content_type})

    def read(self, key: str, start: int, length: int) -> bytes | None:
        """Return a part of a file; see the port."""
        with translated("GetObject"):
            try:
                answer = client("s3").get_object(Bucket=self._bucket, Key=key, Range=f"bytes={start}-{start + length - 1}")
            except ClientError as error:
                if code_of(error) in _MISSING:
                    return None
                if code_of(error) in ("InvalidRange", "416"):
                    return b""
                raise
            content: bytes = answer["Body"].read()
        return content

    def size(self, key: str) -> int | None:
        """Return how many bytes a file has; see the port."""
        with translated("HeadObject"):
            try:
                answer = client("s3").head_object(Bucket=self._bucket, Key=key)
            except ClientError as error:
                if code_of(error) in _MISSING:
                    return None
                raise
        return int(answer["ContentLength"])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files; see the port."""
        for part in _batches(keys, _MOST_AT_ONCE):
            with translated("DeleteObjects"):
                objects = [{"Key": key} for key in part]
                answer = client("s3").delete_objects(Bucket=self._bucket, Delete={"Objects": objects, "Quiet": True})
            if answer.get("Errors"):
                raise TemporaryError(f"DeleteObjects: {answer['Errors'][0].get('Code')}")

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


def _batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield keys in lists of a size."""
    rest = iter(keys)
    while part := list(islice(rest, size)):
        yield part
