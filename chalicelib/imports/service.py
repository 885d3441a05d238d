"""Bring a file in, some rows at a time; any of them may come twice."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.imports import table
from chalicelib.imports.columns import (
    HEAD,
    Columns,
    Sheet,
    check_fields,
    each_once,
    find_columns,
    missing,
    open_sheet,
    print_of,
    sample,
    settle,
)
from chalicelib.imports.model import MOST_BYTES, ImportJob, ImportKind, ImportState, Options, Tally, is_too_many
from chalicelib.imports.records import ASCII, WINDOW, Record, encoding_beyond, encoding_of, mark_of, records
from chalicelib.imports.refusals import MARK, Explain, Refusal, bare, errors_header, header_line, refusal_line
from chalicelib.imports.taking import Outcome, Taker, order_number_of, rows_of
from chalicelib.imports.values import are_data_names
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.ids import new_id
from chalicelib.kernel.signing import fingerprint
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.ports.files import Files

_ID = re.compile(r"imp_[0-9A-Z]{26}\Z")
_WORK_SECONDS = 200.0  # then the next message goes on: a Lambda call ends at 300
_UPLOAD_SECONDS = 3600
_MOST_TOGETHER = 20_000  # rows of one order: more are another column taken for its number
_MOST_KEPT = 20_000_000  # bytes of refused rows; a spreadsheet opens them, and so does a worker
_PREVIEWED = 5
Act = Callable[[list[Any]], None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How a file is cut: window: bytes read at once; batch: rows taken at once; stretch: rows between two marks of how far."""

    window: int = WINDOW
    batch: int = 500
    stretch: int = 5_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file seems to be. options: our proposal with what was asked for; missing: fields that still need a column."""

    sheet: Sheet
    options: Options
    missing: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a stretch of rows came to. problem: why the file ends here, empty when it does not."""

    position: int
    line: int
    tally: Tally
    errors: str
    is_end: bool
    problem: str = ""


class Imports:
    """Import jobs."""

    def __init__(
        self,
        takers: Mapping[ImportKind, Taker],
        accounts: LineAccounts,
        files: Files,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        sizes: Sizes = Sizes(),
    ) -> None:
        self._takers = takers
        self._accounts = accounts
        self._files = files
        self._clock = clock
        self._monotonic = monotonic
        self._sizes = sizes

    def create(self, kind: ImportKind, **given: Any) -> tuple[ImportJob, str]:
        """Make a job with these Options; return it and the address that takes the file by PUT for an hour."""
        options = self._checked(kind, Options(**given))
        now = self._clock.now()
        job = ImportJob(new_id("imp", now), kind, ImportState.CREATED, now, options)
        table.put(job)
        return job, self._files.upload_url(job.file_key, "text/csv", _UPLOAD_SECONDS)

    def get(self, import_id: str) -> ImportJob:
        """Return a job. Raises NotFoundError(`import.unknown`)."""
        job = table.get(import_id) if _ID.match(import_id) else None
        if job is None:
            raise NotFoundError("import.unknown", import_id=import_id)
        return job

    def errors_url(self, job: ImportJob) -> str:
        """Return the address of the refused rows, empty when there are none or not yet."""
        is_over = job.state not in (ImportState.CREATED, ImportState.RUNNING)
        return self._files.download_url(job.errors_key, _UPLOAD_SECONDS) if job.failed and is_over else ""

    def preview(self, import_id: str, given: Mapping[str, Any]) -> Preview:
        """Return what an import would make of its file, were it started with these options.

        Raises InvalidError as a start would (`import.no_file`, `import.empty`, `import.encoding_unknown`, …).
        """
        job = self.get(import_id)
        options = self._checked(job.kind, replace(job.options, **given))
        if not self._files.size(job.file_key):
            raise InvalidError("import.no_file")
        sheet, _ = self._open(job, options)
        settled = settle(sheet, job.kind, table.remembered(_key(job.kind, sheet.print)), options)
        there = [name for name, column in settled.mapping.items() if column in sheet.header]
        absent = missing(job.kind, [*there, *settled.defaults])
        if "line_user_id" in settled.mapping and not settled.account:
            absent.append("account")
        return Preview(sheet, settled, absent, sample(self._reader(job), sheet, _PREVIEWED))

    def start(self, import_id: str, given: Mapping[str, Any] | None = None) -> ImportJob:
        """Let the work begin once the file is there; after a dry run or a failure it may begin again, with other options.

        Raises ConflictError(`import.started`), InvalidError(`import.no_file`, `import.too_large`, `import.field_unknown`).
        """
        job = self.get(import_id)
        if job.state is ImportState.RUNNING:
            return job  # whoever started it may have died before it was enqueued; two workers do one worker's work
        if job.state is ImportState.DONE and not job.options.dry_run:
            raise ConflictError("import.started", state=job.state)
        size = self._files.size(job.file_key)
        if size is None:
            raise InvalidError("import.no_file")
        if size > MOST_BYTES:
            raise InvalidError("import.too_large", most=MOST_BYTES)
        options = self._checked(job.kind, replace(job.options, **(given or {})))
        run = job.run if job.state is ImportState.CREATED else job.run + 1
        fresh = ImportJob(job.import_id, job.kind, ImportState.RUNNING, job.created_at, options, run, size)
        if not table.advance(job, fresh):
            raise ConflictError("import.started", state=self.get(import_id).state)
        return fresh

    def cancel(self, import_id: str) -> ImportJob:
        """Stop a job; what it has brought in stays. Raises ConflictError(`import.over`)."""
        while True:
            job = self.get(import_id)
            if job.state is ImportState.CANCELLED:
                return job
            if job.state not in (ImportState.CREATED, ImportState.RUNNING):
                raise ConflictError("import.over", state=job.state)
            cancelled = replace(job, state=ImportState.CANCELLED)
            if job.failed:
                self._join_errors(job, find_columns(self._open(job, job.options)[0], job.kind, job.options))
            if table.advance(job, cancelled):
                return cancelled

    def work(self, import_id: str, act: Act, explain: Explain = bare) -> bool:
        """Go on with a job; return whether more is to be done.

        act: what follows from rows that may start scenarios, done before they count as done. explain: the sentences of a
        refusal, Japanese and English.
        """
        started = self._monotonic()
        job = self.get(import_id)
        sheet: Sheet | None = None
        while job.state is ImportState.RUNNING:
            if not job.position:
                new = self._begun(job)
            else:
                sheet = sheet or self._open(job, job.options)[0]
                columns = find_columns(sheet, job.kind, job.options)
                stretch = self._stretch(job, sheet, columns, act, explain)
                # The refused rows and what follows first, how far we are last: a crash does it once more, to the same end.
                new = self._after(job, stretch)
                if stretch.errors:
                    self._files.put(f"{job.errors_prefix}{job.position:013d}.csv", stretch.errors.encode(), "text/csv")
                if new.state is not ImportState.RUNNING and new.failed:
                    self._join_errors(new, columns)
            # Where another worker was faster, or somebody has called it off, what he wrote stands.
            job = new if table.advance(job, new) else self.get(import_id)
            if self._monotonic() - started > _WORK_SECONDS:
                return job.state is ImportState.RUNNING
        return False

    def _checked(self, kind: ImportKind, options: Options) -> Options:
        if options.account:
            self._accounts.get(options.account)
        check_fields(kind, options)
        data = {name[5:] for name in (*options.mapping, *options.defaults) if name.startswith("data.")}
        if kind is ImportKind.EVENTS and not are_data_names(sorted(data)):
            raise InvalidError("import.data_names")
        return options

    def _reader(self, job: ImportJob) -> Callable[[int, int], bytes]:
        return lambda start, length: self._files.read(job.file_key, start, length) or b""

    def _open(self, job: ImportJob, options: Options) -> tuple[Sheet, str]:
        """Return the head of a file, and the encoding of all of it."""
        read = self._reader(job)
        head = read(0, 2 * HEAD)
        is_whole = len(head) < 2 * HEAD
        if options.encoding:  # somebody says so: what is no letter in it is a row that is refused
            encoding = whole = options.encoding
            mark = mark_of(head, encoding)
        else:
            encoding, mark = encoding_of(head, is_whole=is_whole)
            whole = encoding_beyond(read, len(head)) if encoding == ASCII else encoding

        def near(start: int, length: int) -> bytes:
            return head[start : start + length] if is_whole or start + length <= len(head) else read(start, length)

        return open_sheet(near, encoding, mark, job.kind, options.mapping), whole

    def _begun(self, job: ImportJob) -> ImportJob:
        """Return a job whose file's head was read: what its columns are stands fast from here on."""
        try:
            sheet, encoding = self._open(job, job.options)
            key = _key(job.kind, sheet.print)
            options = settle(sheet, job.kind, table.remembered(key), job.options)
            find_columns(sheet, job.kind, options)
        except InvalidError as error:
            return replace(job, state=ImportState.FAILED, problem=str(error))
        if job.options.mapping:
            table.remember(key, options)
        preset = sheet.preset.key if sheet.preset else ""
        return replace(job, options=options, encoding=encoding, preset=preset, position=sheet.position, line=sheet.line)

    def _stretch(self, job: ImportJob, sheet: Sheet, columns: Columns, act: Act, explain: Explain) -> Stretch:
        """Take rows up to the next mark, or to where the file ends or breaks."""
        tally, errors, kept = Tally(), [], job.kept
        position, line = job.position, job.line
        try:
            for batch in self._batches(job, sheet, columns):
                outcome = Outcome()
                self._takers[job.kind].take(job, rows_of(batch, columns, job, outcome), outcome)
                if job.options.trigger and not job.options.dry_run and outcome.facts:
                    act(outcome.facts)
                tally += outcome.tally(len(batch))
                position, line = batch[-1].end, batch[-1].next_line
                for refusal in sorted(outcome.refusals, key=_line):
                    if kept < _MOST_KEPT:
                        errors.append(refusal_line(refusal, columns, explain))
                        kept += len(errors[-1].encode())
                if is_too_many(job.options, job.rows + tally.rows, job.failed + tally.failed):
                    problem = str(InvalidError("import.too_many_refused"))
                    return Stretch(position, line, tally, "".join(errors), is_end=True, problem=problem)
                if tally.rows >= self._sizes.stretch:
                    return Stretch(position, line, tally, "".join(errors), is_end=False)
        except InvalidError as error:
            return Stretch(position, line, tally, "".join(errors), is_end=True, problem=str(error))
        return Stretch(position, line, tally, "".join(errors), is_end=True)

    def _batches(self, job: ImportJob, sheet: Sheet, columns: Columns) -> Iterator[list[Record]]:
        """Yield rows in batches; the rows of one order are never parted."""
        batch: list[Record] = []
        last = ""
        reader = self._reader(job)
        try:
            for record in records(reader, job.encoding, sheet.delimiter, job.position, job.line, self._sizes.window):
                if record.is_blank:
                    continue
                number = order_number_of(job, columns, record)
                if len(batch) >= self._sizes.batch and (not number or number != last):
                    yield batch
                    batch = []
                if len(batch) >= _MOST_TOGETHER:
                    raise InvalidError("import.order_too_long", line=record.line)
                batch.append(record)
                last = number
        except InvalidError:
            # What stands before the break is taken, but for an order that may go on behind it.
            while batch and last and order_number_of(job, columns, batch[-1]) == last:
                batch.pop()
            if batch:
                yield batch
            raise
        if batch:
            yield batch

    def _after(self, job: ImportJob, stretch: Stretch) -> ImportJob:
        tally = stretch.tally
        state = ImportState.RUNNING
        if stretch.is_end:
            state = ImportState.FAILED if stretch.problem else ImportState.DONE
        return replace(
            job,
            state=state,
            problem=stretch.problem,
            position=stretch.position,
            line=stretch.line,
            rows=job.rows + tally.rows,
            created=job.created + tally.created,
            changed=job.changed + tally.changed,
            same=job.same + tally.same,
            failed=job.failed + tally.failed,
            kept=job.kept + len(stretch.errors.encode()),
        )

    def _join_errors(self, job: ImportJob, columns: Columns) -> None:
        parts = [self._files.get(key) or b"" for key in self._files.list(job.errors_prefix)]
        content = MARK + header_line(columns).encode() + b"".join(parts)
        self._files.put(job.errors_key, content, "text/csv; charset=utf-8")
        # Mended and brought in again it is to be read as its file was; the row of codes above the names is not in it.
        table.remember(_key(job.kind, print_of(each_once(errors_header(columns)))), job.options)


def _key(kind: ImportKind, columns: str) -> str:
    return f"{kind}#{fingerprint(columns)}"


def _line(refusal: Refusal) -> int:
    return refusal.line
