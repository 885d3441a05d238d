"""Bring a file in, a chunk at a time; every chunk may come twice."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.customers.service import Customers
from chalicelib.friends.service import Friends
from chalicelib.imports import table
from chalicelib.imports.model import (
    MOST_BYTES,
    ImportJob,
    ImportKind,
    ImportState,
    OrderRow,
    Sheet,
    cells,
    customer_values,
    error_line,
    numbered,
    order_row,
    read,
)
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import ConflictError, DomainError, InvalidError, NotFoundError
from chalicelib.kernel.facts import OrderPlaced
from chalicelib.kernel.ids import AccountKey, LineUserId, is_line_user_id, new_id
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.orders.model import Order
from chalicelib.orders.service import Orders
from chalicelib.people.model import member_identity
from chalicelib.people.service import People
from chalicelib.ports.files import Files

CHUNK = 500
_ID = re.compile(r"imp_[0-9A-Z]{26}\Z")
_WORK_SECONDS = 200.0  # then the next message goes on: a Lambda call ends at 300
_UPLOAD_SECONDS = 3600


@dataclass(slots=True)
class Chunk:
    """What a chunk came to. errors: (line, sentence code, row)."""

    created: int = 0
    changed: int = 0
    errors: list[tuple[int, str, list[str]]] = field(default_factory=list)
    facts: list[OrderPlaced] = field(default_factory=list)


class Imports:
    """Import jobs."""

    def __init__(
        self,
        customers: Customers,
        orders: Orders,
        friends: Friends,
        people: People,
        accounts: LineAccounts,
        files: Files,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._customers = customers
        self._orders = orders
        self._friends = friends
        self._people = people
        self._accounts = accounts
        self._files = files
        self._clock = clock
        self._monotonic = monotonic

    def create(
        self, kind: ImportKind, *, dry_run: bool, trigger: bool, mapping: Mapping[str, str], account: str = ""
    ) -> tuple[ImportJob, str]:
        """Make a job; return it and the address that takes the file by PUT for an hour."""
        if account:
            self._accounts.get(account)
        now = self._clock.now()
        job = ImportJob(new_id("imp", now), kind, ImportState.CREATED, dry_run, trigger, now, mapping=mapping, account=account)
        table.put(job)
        return job, self._files.upload_url(job.file_key, "text/csv", _UPLOAD_SECONDS)

    def get(self, import_id: str) -> ImportJob:
        """Return a job. Raises NotFoundError(`import.unknown`)."""
        job = table.get(import_id) if _ID.match(import_id) else None
        if job is None:
            raise NotFoundError("import.unknown", import_id=import_id)
        return job

    def errors_url(self, job: ImportJob) -> str:
        """Return the address of the refused rows, empty when there are none."""
        return self._files.download_url(job.errors_key, _UPLOAD_SECONDS) if job.failed and job.state is ImportState.DONE else ""

    def start(self, import_id: str) -> ImportJob:
        """Let the work begin once the file is there. Raises ConflictError(`import.started`), InvalidError(`import.no_file`)."""
        job = self.get(import_id)
        if job.state is ImportState.RUNNING:
            return job  # whoever started it may have died before it was enqueued; two workers do one worker's work
        if job.state is not ImportState.CREATED:
            raise ConflictError("import.started", state=job.state)
        content = self._files.get(job.file_key)
        if content is None:
            raise InvalidError("import.no_file")
        if len(content) > MOST_BYTES:
            raise InvalidError("import.too_large", most=MOST_BYTES)
        running = replace(job, state=ImportState.RUNNING)
        table.put(running)
        return running

    def work(self, import_id: str, act: Callable[[list[OrderPlaced]], None]) -> bool:
        """Go on with a job; return whether more is to be done.

        act: what follows from a chunk's orders when they may start scenarios, done before the chunk counts as done.
        """
        job = self.get(import_id)
        if job.state is not ImportState.RUNNING:
            return False
        content = self._files.get(job.file_key) or b""
        try:
            sheet = read(content, job.kind, job.mapping)
        except InvalidError as error:
            table.put(replace(job, state=ImportState.FAILED, problem=str(error)))
            return False
        started = self._monotonic()
        job = replace(job, rows=len(sheet.rows))
        while job.position < len(sheet.rows):
            chunk = self._chunk(job, sheet)
            # The chunk's errors and what follows first, the position last: a crash does the chunk once more, to the same end.
            self._keep_errors(job, chunk)
            job = replace(
                job,
                position=min(job.position + CHUNK, len(sheet.rows)),
                created=job.created + chunk.created,
                changed=job.changed + chunk.changed,
                failed=job.failed + len(chunk.errors),
            )
            if job.trigger and chunk.facts:
                act(chunk.facts)
            table.put(job)
            if self._monotonic() - started > _WORK_SECONDS:
                return True
        self._join_errors(job, sheet)
        table.put(replace(job, state=ImportState.DONE))
        return False

    def _chunk(self, job: ImportJob, sheet: Sheet) -> Chunk:
        return self._customer_chunk(job, sheet) if job.kind is ImportKind.CUSTOMERS else self._order_chunk(job, sheet)

    def _customer_chunk(self, job: ImportJob, sheet: Sheet) -> Chunk:
        chunk = Chunk()
        good: list[tuple[int, list[str], dict[str, Any], str]] = []
        for line, row in numbered(sheet, job.position, CHUNK):
            try:
                given = cells(sheet, row)
                user_id = given.get("line_user_id", "").strip()
                if user_id and (not is_line_user_id(user_id) or not job.account):
                    raise InvalidError("customer.line_user_id_malformed", field="line_user_id")
                good.append((line, row, customer_values(given), user_id))
            except DomainError as error:
                chunk.errors.append((line, _sentence(error), row))
        if job.dry_run:
            known = self._people.find_many(member_identity(values["member_no"]) for _, _, values, _ in good)
            numbers = [member_identity(values["member_no"]) in known for _, _, values, _ in good]
            chunk.changed, chunk.created = sum(numbers), len(numbers) - sum(numbers)
            return chunk
        self._keep_attributes([values for _, _, values, _ in good])
        saved = self._customers.save_many(values for _, _, values, _ in good)
        for (line, row, _, user_id), (customer, is_new) in zip(good, saved, strict=True):
            chunk.created += is_new
            chunk.changed += not is_new
            if user_id and not self._friends.enter(AccountKey(job.account), LineUserId(user_id), customer.cid, self._clock.now()):
                chunk.errors.append((line, "customer.line_user_id_taken", row))
        return chunk

    def _keep_attributes(self, rows: list[dict[str, Any]]) -> None:
        # The company's own fields are one field of the profile: those that the file does not carry are put back in.
        carrying = [row for row in rows if "attributes" in row]
        people = self._people.find_many(member_identity(row["member_no"]) for row in carrying)
        customers = self._customers.load(people.values())
        kept = {identity: dict(customers[cid].profile.attributes) for identity, cid in people.items()}
        for row in carrying:
            attributes = kept.setdefault(member_identity(row["member_no"]), {})
            attributes |= row["attributes"]
            row["attributes"] = dict(attributes)

    def _order_chunk(self, job: ImportJob, sheet: Sheet) -> Chunk:
        chunk = Chunk()
        parsed: list[tuple[int, list[str], OrderRow]] = []
        seen: set[str] = set()
        for line, row in numbered(sheet, job.position, CHUNK):
            try:
                order = order_row(cells(sheet, row))
                if order.order_no in seen:
                    raise InvalidError("order.twice_in_file", field="order_no")
                seen.add(order.order_no)
                parsed.append((line, row, order))
            except DomainError as error:
                chunk.errors.append((line, _sentence(error), row))
        people = self._people.find_many(member_identity(order.member_no) for _, _, order in parsed)
        good = []
        for line, row, order in parsed:
            cid = people.get(member_identity(order.member_no))
            if cid is None:
                chunk.errors.append((line, "customer.unknown", row))
            else:
                good.append((line, row, Order(order.order_no, cid, order.at, order.amount_yen, order.products, order.shop)))
        chunk.created = len(good)
        if job.dry_run or not good:
            return chunk
        chunk.facts, strangers = self._orders.take(order for _, _, order in good)
        taken = [(line, "order.of_another_customer", row) for line, row, order in good if order.order_no in strangers]
        chunk.errors += taken
        chunk.created -= len(taken)
        return chunk

    def _keep_errors(self, job: ImportJob, chunk: Chunk) -> None:
        if chunk.errors:
            text = "".join(error_line([str(line), why, *row]) for line, why, row in sorted(chunk.errors, key=lambda e: e[0]))
            self._files.put(f"imports/{job.import_id}/errors/{job.position:09d}.csv", text.encode(), "text/csv")

    def _join_errors(self, job: ImportJob, sheet: Sheet) -> None:
        if not job.failed:
            return
        parts = [self._files.get(key) or b"" for key in self._files.list(f"imports/{job.import_id}/errors/")]
        head = error_line(["行", "理由", *sheet.header]).encode()
        # With a byte order mark, so that a spreadsheet reads the Japanese right.
        self._files.put(job.errors_key, b"\xef\xbb\xbf" + head + b"".join(parts), "text/csv; charset=utf-8")


def _sentence(error: DomainError) -> str:
    details = ", ".join(str(value) for value in error.details.values())
    return f"{error.code} ({details})" if details else error.code
