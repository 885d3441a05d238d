"""Files of customers, orders, events and tags (docs/imports.md)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
from chalicelib.imports.model import ImportJob, ImportKind
from chalicelib.imports.records import ASCII

Texts = Annotated[dict[str, Name], msgspec.Meta(max_length=1000)]


class ImportOptions(Body, kw_only=True):
    """How a file is read and what becomes of it; what is left out stays as it was.

    mapping: our field to the file's column, an empty column leaves the field out. types: of attributes. defaults: our field to
    the text for empty cells. dates: the order in which days are written. member_prefix: goes before every member number. tag: a
    tag's name, for everybody in the file. tag_folder: of tags made on the way. source: the shop or till whose order numbers these
    are. trigger: rows may start scenarios. most_refused, most_refused_percent: stop there.
    """

    mapping: Texts | msgspec.UnsetType = msgspec.UNSET
    types: dict[str, Literal["text", "number", "flag", "date"]] | msgspec.UnsetType = msgspec.UNSET
    defaults: Texts | msgspec.UnsetType = msgspec.UNSET
    account: str | msgspec.UnsetType = msgspec.UNSET
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET
    trigger: bool | msgspec.UnsetType = msgspec.UNSET
    encoding: Literal["", "utf-8", "cp932", "utf-16-le", "utf-16-be"] | msgspec.UnsetType = msgspec.UNSET
    dates: Literal["ymd", "dmy", "mdy"] | msgspec.UnsetType = msgspec.UNSET
    member_prefix: Annotated[str, msgspec.Meta(pattern="^[0-9A-Za-z._-]{0,20}$")] | msgspec.UnsetType = msgspec.UNSET
    tag: Annotated[str, msgspec.Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    tag_folder: Annotated[str, msgspec.Meta(max_length=100)] | msgspec.UnsetType = msgspec.UNSET
    source: Annotated[str, msgspec.Meta(pattern="^([a-z][a-z0-9_-]{0,39})?$")] | msgspec.UnsetType = msgspec.UNSET
    most_refused: Annotated[int, msgspec.Meta(ge=0)] | msgspec.UnsetType = msgspec.UNSET
    most_refused_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] | msgspec.UnsetType = msgspec.UNSET


class ImportBody(ImportOptions, kw_only=True):
    """A file to come."""

    kind: Literal["customers", "orders", "events", "tags"]


class PreviewBody(ImportOptions, kw_only=True):
    """An uploaded file to look into."""

    import_id: str


class ImportView(View, kw_only=True):
    """An import. upload_url: takes the file by PUT with Content-Type text/csv; errors_url: the refused rows as CSV.

    rows: done so far, of them created, changed, same and failed; percent: of the file's bytes. preset: an export that was
    recognised: lstep, lme.
    """

    import_id: str
    kind: str
    state: str
    dry_run: bool
    trigger: bool
    created_at: datetime
    rows: int
    created: int
    changed: int
    same: int
    failed: int
    bytes_done: int
    bytes: int
    percent: int
    mapping: dict[str, str]
    preset: str
    encoding: str
    problem: str
    upload_url: str = ""
    errors_url: str = ""


class ColumnView(View, kw_only=True):
    """A column of a file. code: what stands above its name; field: ours that it goes into, empty when it is left out."""

    name: str
    code: str
    samples: list[str]
    field: str
    type: str


class PreviewView(View, kw_only=True):
    """What a file seems to be. missing: fields that still need a column or a default, or `account`."""

    encoding: str
    delimiter: str
    preset: str
    columns: list[ColumnView]
    mapping: dict[str, str]
    types: dict[str, str]
    member_prefix: str
    tag_folder: str
    dates: str
    missing: list[str]


def _given(body: ImportOptions) -> dict[str, Any]:
    fields = {name: getattr(body, name) for name in ImportOptions.__struct_fields__}
    return {name: value for name, value in fields.items() if value is not msgspec.UNSET}


def _view(call: Call[Any], job: ImportJob, upload_url: str = "") -> ImportView:
    return ImportView(
        import_id=job.import_id,
        kind=job.kind,
        state=job.state,
        dry_run=job.options.dry_run,
        trigger=job.options.trigger,
        created_at=job.created_at,
        rows=job.rows,
        created=job.created,
        changed=job.changed,
        same=job.same,
        failed=job.failed,
        bytes_done=job.position,
        bytes=job.size,
        percent=job.percent,
        mapping=dict(job.options.mapping),
        preset=job.preset,
        encoding=_encoding(job.encoding),
        problem=job.problem,
        upload_url=upload_url,
        errors_url=call.world.imports.errors_url(job),
    )


def _encoding(name: str) -> str:
    return "utf-8" if name == ASCII else name


@endpoint(
    "POST", "/imports", scope="imports:write", request=ImportBody, response=ImportView, status=201,
    summary="CSV取り込みを作る（upload_urlへPUTしてからstart） / Make an import; PUT the file to upload_url, then start",
)  # fmt: skip
def create_import(call: Call[ImportBody]) -> ImportView:
    """Make an import."""
    job, url = call.world.imports.create(ImportKind(call.body.kind), **_given(call.body))
    return _view(call, job, url)


@endpoint(
    "POST", "/imports/preview", scope="imports:write", request=PreviewBody, response=PreviewView,
    summary="アップロードしたファイルの列と割り当ての案を見る / See a file's columns and what they seem to mean",
)  # fmt: skip
def preview_import(call: Call[PreviewBody]) -> PreviewView:
    """Look into an uploaded file."""
    found = call.world.imports.preview(call.body.import_id, _given(call.body))
    sheet, options = found.sheet, found.options
    fields = {column: name for name, column in options.mapping.items()}
    return PreviewView(
        encoding=_encoding(sheet.encoding),
        delimiter=sheet.delimiter,
        preset=sheet.preset.key if sheet.preset else "",
        columns=[
            ColumnView(
                name=name,
                code=sheet.codes[place] if place < len(sheet.codes) else "",
                samples=[row[place][:100] for row in found.rows if place < len(row)],
                field=fields.get(name, ""),
                type=options.types.get(fields.get(name, ""), "text"),
            )
            for place, name in enumerate(sheet.header)
        ],
        mapping=dict(options.mapping),
        types=dict(options.types),
        member_prefix=options.member_prefix,
        tag_folder=options.tag_folder,
        dates=options.dates,
        missing=list(found.missing),
    )


@endpoint(
    "POST", "/imports/{import_id}/start", scope="imports:write", request=ImportOptions, response=ImportView,
    summary="取り込みを開始（試し読みのあとは本番として再開始できる） / Start an import; after a dry run, start it for real",
)  # fmt: skip
def start_import(call: Call[ImportOptions]) -> ImportView:
    """Start an import."""
    job = call.world.imports.start(call.path["import_id"], _given(call.body))
    call.world.work.put(json.dumps({"op": "import", "import_id": job.import_id}), {})
    return _view(call, job)


@endpoint(
    "POST", "/imports/{import_id}/cancel", scope="imports:write", response=ImportView,
    summary="取り込みをやめる（済んだ行はそのまま） / Stop an import; what is in stays",
)  # fmt: skip
def cancel_import(call: Call[None]) -> ImportView:
    """Stop an import."""
    return _view(call, call.world.imports.cancel(call.path["import_id"]))


@endpoint("GET", "/imports/{import_id}", scope="imports:read", summary="取り込みの状況 / How an import stands", response=ImportView)
def get_import(call: Call[None]) -> ImportView:
    """Return an import."""
    return _view(call, call.world.imports.get(call.path["import_id"]))
