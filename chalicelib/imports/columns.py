"""The columns of a file and what they mean: names as Japanese and English systems write them, and exports that we know; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.imports.model import ImportKind, Options
from chalicelib.imports.records import Read, Record, records
from chalicelib.kernel.errors import InvalidError

DELIMITERS = (",", "\t", ";")
TYPES = ("text", "number", "flag", "date")
HEAD = 1 << 16  # of a file is read to see what it is
ATTRIBUTE, TAG, DATA = "attribute.", "tag.", "data."
_PERSON = {
    "member_no": (
        "会員番号", "会員ID", "会員コード", "顧客番号", "顧客ID", "顧客コード", "お客様番号", "customer_id", "member_id",
        "member number",
    ),
    "line_user_id": ("LINEユーザーID", "LINE ID", "LINE UID", "userId", "line_uid"),
}  # fmt: skip
_TAGS = {"tags": ("タグ", "タグ名", "tag")}
# Our field to other names of its column. First come, first served: a column has one meaning.
NAMES: Mapping[ImportKind, Mapping[str, tuple[str, ...]]] = {
    ImportKind.CUSTOMERS: {
        **_PERSON,
        "name": ("氏名", "名前", "お名前", "本名", "顧客名", "会員名", "full name"),
        "name_kana": ("フリガナ", "ふりがな", "氏名カナ", "氏名（カナ）", "お名前（フリガナ）", "カナ", "kana"),
        "birthday": ("生年月日", "誕生日", "birth date", "date of birth"),
        "gender": ("性別", "sex"),
        "email": ("メールアドレス", "メール", "e-mail", "mail", "email address", "mail address"),
        "phone": ("電話番号", "電話", "携帯電話", "携帯電話番号", "携帯番号", "tel", "phone number", "mobile"),
        "postal_code": ("郵便番号", "〒", "zip", "zip code", "postcode"),
        "prefecture": ("都道府県", "都道府県名", "state"),
        "city": ("市区町村", "市区町村名"),
        "address": ("番地", "住所", "町名番地", "町名/番地", "町名・番地", "住所1", "address1", "street"),
        "building": ("建物名", "建物", "建物名・部屋番号", "住所2", "address2"),
        "friend.added_at": ("友だち追加日時", "友だち追加日", "友だち登録日時"),
        "friend.blocked": ("ユーザーブロック", "ブロック"),
        **_TAGS,
    },
    ImportKind.TAGS: {**_PERSON, **_TAGS},
    ImportKind.ORDERS: {
        "order_no": ("注文番号", "注文ID", "伝票番号", "受注番号", "受注ID", "レシート番号", "order_id", "order number"),
        **_PERSON,
        "ordered_at": ("注文日時", "注文日", "受注日時", "受注日", "購入日", "購入日時", "売上日", "date", "order date"),
        "amount_yen": ("金額", "合計", "合計金額", "注文合計", "購入金額", "お支払い合計", "amount", "total"),
        "products": ("商品", "商品名", "商品コード", "product", "product name"),
        "shop": ("店舗", "店舗名", "店名", "store"),
        "line.category": ("商品カテゴリ", "商品カテゴリー", "カテゴリ", "カテゴリー", "商品分類", "category"),
        "line.quantity": ("数量", "個数", "点数", "quantity", "qty"),
        "line.yen": ("小計", "商品小計", "明細金額", "line total", "subtotal"),
        "line.unit_yen": ("単価", "商品単価", "販売価格", "unit price", "price"),
        "line.product": (),
    },
    ImportKind.EVENTS: {
        "event": ("イベント", "出来事", "種類", "行動", "event type"),
        "event_id": ("イベントID", "受付番号", "予約番号"),
        "name": ("名前", "名称", "イベント名", "メニュー", "フォーム名", "event name"),
        "occurred_at": ("日時", "発生日時", "来店日時", "予約日時", "timestamp", "date", "time"),
        **_PERSON,
    },
}  # fmt: skip
# The fields of which one at least must have a column or a default.
_NEEDED: Mapping[ImportKind, tuple[tuple[str, ...], ...]] = {
    ImportKind.CUSTOMERS: (("member_no", "line_user_id"),),
    ImportKind.TAGS: (("member_no", "line_user_id"),),
    ImportKind.ORDERS: (
        ("order_no",),
        ("member_no", "line_user_id"),
        ("ordered_at",),
        ("amount_yen", "line.yen", "line.unit_yen"),
    ),
    ImportKind.EVENTS: (("event",), ("member_no", "line_user_id"), ("occurred_at",)),
}
_CODE = re.compile(r"(タグ|友だち情報)_\d+\Z")
_TAG_COLUMN = re.compile(r"タグ_(.+)\Z", re.DOTALL)
_INFO_COLUMN = re.compile(r"友だち情報_(.+)\Z", re.DOTALL)
_UNFIT = re.compile(r'["\x00-\x1f]')  # in the name of an attribute


@dataclass(frozen=True, slots=True)
class Preset:
    """An export that we know by its header. marks: columns that only it has; names: our field to its column."""

    key: str
    marks: tuple[str, ...]
    names: Mapping[str, str]
    types: Mapping[str, str] = field(default_factory=dict)
    member_prefix: str = ""
    tag_folder: str = ""


# Both write two header rows: codes (`登録ID`, `タグ_123`, `友だち情報_45`) above labels. Put together from what is public about
# these exports, and everything about them can be mapped otherwise.
PRESETS = (
    Preset(
        "lme",
        ("LINE表示名", "ユーザーID"),
        {
            "line_user_id": "ユーザーID", "attribute.LINE登録名": "LINE表示名", "attribute.システム表示名": "システム表示名",
            "attribute.個別メモ": "個別メモ", "attribute.対応マーク": "対応マーク", "attribute.流入経路": "流入経路",
        },
        tag_folder="エルメ",
    ),
    Preset(
        "lstep",
        ("LINE登録名", "購読中シナリオ", "登録ID"),
        {
            "member_no": "ID", "attribute.LINE登録名": "LINE登録名", "attribute.システム表示名": "システム表示名",
            "attribute.個別メモ": "個別メモ", "attribute.対応マーク": "対応マーク", "attribute.友だち追加日時": "友だち追加日時",
        },
        types={"attribute.友だち追加日時": "date"},
        member_prefix="lstep-",
        tag_folder="Lステップ",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sheet:
    """The head of a file.

    header: its columns, each name once; codes: the row above it, where there is one. position, line: of the first row of data.
    preset: which of PRESETS it is.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    codes: tuple[str, ...]
    position: int
    line: int
    preset: Preset | None = None

    @property
    def print(self) -> str:
        """Return what files of the same columns have in common."""
        return print_of((*self.header, *self.codes))


@dataclass(frozen=True, slots=True)
class Columns:
    """Which cell is which field. places: our field to its place in a row; width: cells of a row."""

    places: Mapping[str, int]
    width: int
    header: tuple[str, ...]
    may_be_longer: bool = False


def open_sheet(read: Read, encoding: str, position: int, kind: ImportKind, mapping: Mapping[str, str]) -> Sheet:
    """Return the head of a file whose text begins at a byte.

    Raises InvalidError(`import.empty`, `import.quotes_broken`, `import.encoding_unknown`, `import.row_too_long`).
    """
    known = {_plain(word) for name, others in NAMES[kind].items() for word in (name, *others)}
    known |= {_plain(column) for column in mapping.values()}
    best: tuple[tuple[int, int], Sheet] | None = None
    problem: InvalidError | None = None
    for delimiter in DELIMITERS:
        try:
            sheet = _sheet(read, encoding, delimiter, position)
        except InvalidError as error:
            if error.code == "import.empty":
                raise  # delimiters and nothing between them
            problem = problem or error
            continue
        score = (sum(_plain(name) in known for name in sheet.header), len(sheet.header))
        if best is None or score > best[0]:
            best = (score, sheet)
    if best is None:
        raise problem or InvalidError("import.empty")
    return best[1]


def _sheet(read: Read, encoding: str, delimiter: str, position: int) -> Sheet:
    found: list[Record] = []
    for record in records(read, encoding, delimiter, position, 1, HEAD):
        if not record.is_blank:
            found.append(record)
            # A row of codes stands above the labels; whether this is one, the first row itself says.
            if len(found) == 2 or not _is_codes(record.cells):
                break
    if not found:
        raise InvalidError("import.empty")
    if any(record.is_broken for record in found):  # read as what it is not: its names would be no letters
        raise InvalidError("import.encoding_unknown")
    codes = tuple(found[0].cells) if len(found) == 2 else ()
    header = tuple(each_once(found[-1].cells))
    sheet = Sheet(encoding, delimiter, header, codes, found[-1].end, found[-1].next_line)
    return replace(sheet, preset=_preset(sheet))


def _is_codes(cells: Sequence[str]) -> bool:
    return cells[0].strip() == "登録ID" or any(_CODE.match(cell.strip()) for cell in cells)


def each_once(cells: Iterable[str]) -> list[str]:
    """Return the names of columns: the second of a name with its number behind it."""
    names: list[str] = []
    for place, cell in enumerate(cells, start=1):
        name = wanted = cell.strip() or f"列{place}"
        number = 2
        while name in names:
            name, number = f"{wanted} ({number})", number + 1
        names.append(name)
    return names


def _preset(sheet: Sheet) -> Preset | None:
    names = {_plain(name) for name in (*sheet.header, *sheet.codes[:1])}
    for preset in PRESETS:
        there = sum(_plain(mark) in names for mark in preset.marks)
        if there == len(preset.marks) or (sheet.codes and there >= 1):
            return preset
    return None


def print_of(names: Iterable[str]) -> str:
    """Return what files with columns of these names have in common."""
    return "\x1f".join(_plain(name) for name in names)


def _plain(text: str) -> str:
    return re.sub(r"[\s_]", "", unicodedata.normalize("NFKC", text)).lower()


def propose(sheet: Sheet, kind: ImportKind) -> Options:
    """Return what the columns seem to mean: by the export that we know, by their codes, by their names."""
    places: dict[str, str] = {}
    free = {name: _plain(name) for name in sheet.header}

    def take(target: str, column: str) -> None:
        if target not in places and column in free:
            places[target] = column
            del free[column]

    preset = sheet.preset if kind in (ImportKind.CUSTOMERS, ImportKind.TAGS) else None
    wanted = dict(preset.names) if preset else {}
    labels = {_plain(name) for name in sheet.header}
    if "member_no" in wanted and any(_plain(word) in labels for word in _PERSON["member_no"]):
        del wanted["member_no"]  # the company's own number is among the columns
    prefix = preset.member_prefix if preset and "member_no" in wanted else ""
    for target, column in wanted.items():
        if kind is not ImportKind.TAGS or target in NAMES[kind]:
            take(target, column)
    for target, others in NAMES[kind].items():
        for word in (target, *others):
            for column in [name for name, plain in free.items() if plain == _plain(word)]:
                take(target, column)
    if kind in (ImportKind.CUSTOMERS, ImportKind.TAGS):
        _take_marked(sheet, kind, dict(free), take)
    if kind is ImportKind.ORDERS and "products" in places and any(name.startswith("line.") for name in places):
        places["line.product"] = places.pop("products")
    types = {name: word for name, word in (preset.types if preset else {}).items() if name in places}
    return Options(mapping=places, types=types, member_prefix=prefix, tag_folder=preset.tag_folder if preset else "")


def _take_marked(sheet: Sheet, kind: ImportKind, free: Mapping[str, str], take: Callable[[str, str], None]) -> None:
    """Take the columns whose code or name says that they are a tag or one of the company's own fields."""
    for place, column in enumerate(sheet.header):
        if column not in free:
            continue
        code = sheet.codes[place].strip() if place < len(sheet.codes) else ""
        tag, info = _TAG_COLUMN.match(column), _INFO_COLUMN.match(column)
        if tag or code.startswith("タグ_"):
            take(TAG + (tag[1] if tag else column).strip(), column)
        elif kind is ImportKind.CUSTOMERS and (info or code.startswith("友だち情報_")):
            take(ATTRIBUTE + _UNFIT.sub("", info[1] if info else column).strip()[:100], column)


def settle(sheet: Sheet, kind: ImportKind, saved: Options | None, asked: Options) -> Options:
    """Return the options of an import: what was asked for, else what files of this header had last time, else our proposal."""
    proposed = propose(sheet, kind)
    mapping = dict(proposed.mapping)
    for given in (saved.mapping if saved else {}, asked.mapping):
        taken = {_plain(column) for column in given.values() if column}
        mapping = {name: column for name, column in mapping.items() if _plain(column) not in taken} | dict(given)
    mapping = {name: column for name, column in mapping.items() if column}
    last = saved or proposed
    return replace(
        asked,
        mapping=mapping,
        types={**proposed.types, **(saved.types if saved else {}), **asked.types},
        defaults={**(saved.defaults if saved else {}), **asked.defaults},
        dates=asked.dates if asked.dates != "ymd" else last.dates,
        member_prefix=asked.member_prefix or last.member_prefix,
        tag_folder=asked.tag_folder or last.tag_folder,
        source=asked.source or last.source,
    )


def find_columns(sheet: Sheet, kind: ImportKind, options: Options) -> Columns:
    """Return where the fields are.

    Raises InvalidError(`import.field_unknown`) for a field that there is not, (`import.columns_missing`) for a mapped column
    that is not there, too: its data would be left out without a word.
    """
    check_fields(kind, options)
    plain = [_plain(name) for name in sheet.header]
    places, absent = {}, []
    for name, column in options.mapping.items():
        if column in sheet.header:
            places[name] = sheet.header.index(column)
        elif _plain(column) in plain:
            places[name] = plain.index(_plain(column))
        else:
            absent.append(name)
    absent += missing(kind, {*places, *options.defaults, *absent})
    if absent:
        raise InvalidError("import.columns_missing", missing=absent, found=list(sheet.header))
    return Columns(places, len(sheet.header), sheet.header, may_be_longer=sheet.preset is not None)


def check_fields(kind: ImportKind, options: Options) -> None:
    """Refuse names that are no field of ours. Raises InvalidError(`import.field_unknown`)."""
    for name in (*options.mapping, *options.defaults):
        free = {ImportKind.CUSTOMERS: (ATTRIBUTE, TAG), ImportKind.TAGS: (TAG,), ImportKind.EVENTS: (DATA,)}.get(kind, ())
        if name not in NAMES[kind] and not any(name.startswith(start) and name != start for start in free):
            raise InvalidError("import.field_unknown", field=name)
        if name.startswith(ATTRIBUTE) and (_UNFIT.search(name) or len(name) > len(ATTRIBUTE) + 100):
            raise InvalidError("customer.attribute_malformed", field=name)


def missing(kind: ImportKind, there: Iterable[str]) -> list[str]:
    """Return which fields are still needed, alternatives parted by a stroke."""
    known = set(there)
    return ["/".join(names) if len(names) > 1 else names[0] for names in _NEEDED[kind] if not known & set(names)]


def cells(columns: Columns, row: Sequence[str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Return a row's cells by our field. Raises InvalidError(`import.row_length`)."""
    if len(row) != columns.width and not (columns.may_be_longer and len(row) > columns.width):
        raise InvalidError("import.row_length", expected=columns.width, found=len(row))
    given = {name: row[place] for name, place in columns.places.items()}
    for name, text in defaults.items():
        if not given.get(name, "").strip():
            given[name] = text
    return given


def sample(read: Read, sheet: Sheet, most: int) -> list[list[str]]:
    """Return the first rows of data as far as they can be read."""
    rows: list[list[str]] = []
    try:
        for record in records(read, sheet.encoding, sheet.delimiter, sheet.position, sheet.line, HEAD):
            if not record.is_blank:
                rows.append(record.letters)
            if len(rows) == most:
                break
    except InvalidError:
        pass  # the import itself will say so
    return rows
