"""Every refusal in one clear sentence, Japanese for people with English beside it, found by its code (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.kernel.errors import DomainError

# code: (Japanese, English); {name} is filled from the error's details.
SENTENCES: dict[str, tuple[str, str]] = {
    "account.credentials_refused": ("チャネルIDまたはチャネルシークレットをLINEが受け付けませんでした。LINE Developersの値を確認してください。", "LINE refused the channel id or secret; check them in LINE Developers."),
    "account.key_malformed": ("アカウントキー「{given}」は使えません。英小文字で始まる2〜20文字の英小文字・数字・ハイフンにしてください。", "The account key must be 2 to 20 lower-case letters, digits or hyphens and start with a letter."),
    "account.key_taken": ("アカウントキー「{key}」は別のチャネルで使われています。", "The account key {key} belongs to another channel."),
    "account.unknown": ("LINEアカウント「{key}」はありません。", "There is no LINE account {key}."),
    "api.body_malformed": ("リクエスト本文が正しくありません（{path}: {problem}）。", "The request body is wrong at {path}: {problem}."),
    "api.not_json": ("リクエスト本文がJSONとして読めません。", "The request body is not JSON."),
    "api.parameter_malformed": ("パラメーター「{name}」が正しくありません。", "The parameter {name} is malformed."),
    "auth.missing": ("APIキーがありません。Authorization: Bearer にキーを入れてください。", "Send an API key as Authorization: Bearer."),
    "auth.refused": ("APIキーが正しくないか、取り消されています。", "The API key is wrong or revoked."),
    "auth.scope_missing": ("このAPIキーには権限「{scope}」がありません。", "The API key lacks the scope {scope}."),
    "campaign.changed_meanwhile": ("一斉配信がほかの操作で変わりました。読み込み直してください。", "The campaign has changed meanwhile; load it again."),
    "campaign.not_a_draft": ("この一斉配信は下書きではないため、配信を始められません（状態: {state}）。", "Only a draft can be scheduled; this one is {state}."),
    "campaign.not_parked": ("この一斉配信は保留中ではありません（状態: {state}）。", "The campaign is not parked but {state}."),
    "campaign.over": ("この一斉配信はすでに終わっています（状態: {state}）。", "The campaign is over: {state}."),
    "campaign.template_of_other_channel": ("テンプレートの配信チャネルが一斉配信と違います。", "The template is for another delivery channel."),
    "campaign.time_is_past": ("配信日時が過去です。これからの日時を指定してください。", "The time to send is in the past."),
    "campaign.unknown": ("一斉配信「{campaign_id}」はありません。", "There is no campaign {campaign_id}."),
    "cap.malformed": ("配信回数の上限が正しくありません。1〜{most}通、期間は{days}日までです。", "A cap allows 1 to {most} messages in up to {days} days; scope: all, source, channel; policy: delay, skip."),
    "cohort.unknown": ("コホート「{cohort}」はありません。", "There is no cohort {cohort}."),
    "condition.cycle": ("条件の {path} のセグメントは、自分自身をたどってしまいます。", "The saved segment at {path} leads back to itself."),
    "condition.field_unknown": ("条件の {path} にある項目名は使えません。", "The condition names an unknown field at {path}."),
    "condition.kind": ("条件の {path} には {known} のどれか1つを書いてください。", "The condition needs exactly one of its known kinds at {path}."),
    "condition.malformed": ("条件の {path} が正しくありません。", "The condition is malformed at {path}."),
    "condition.of_a_run": ("条件の {path} はシナリオの中でだけ使えます。セグメントとしては保存できません。", "What stands at {path} asks about a run of a scenario and cannot be part of a saved segment."),
    "condition.segment_unknown": ("条件の {path} にあるセグメント「{segment_id}」はありません。", "The condition names the unknown segment {segment_id} at {path}."),
    "condition.too_large": ("条件が大きすぎます（{path}、{most}まで）。", "The condition is too large at {path}; the most is {most}."),
    "condition.unknown_key": ("条件の {path} は知らない指定です。", "The condition has an unknown key at {path}."),
    "condition.value": ("条件の {path} の値が正しくありません。", "The condition has a wrong value at {path}."),
    "cursor.malformed": ("ページの指定が正しくありません。", "The cursor is malformed."),
    "customer.birthday_malformed": ("生年月日は1990-01-31のように書いてください。", "Write the birthday like 1990-01-31."),
    "customer.email_malformed": ("メールアドレスが正しくありません。", "The e-mail address is malformed."),
    "customer.gender_malformed": ("性別は 女性・男性・その他 のどれかにしてください。", "The gender must be female, male or other."),
    "customer.line_user_id_malformed": ("LINEユーザーIDはUと32桁の16進数です。取り込み先のLINEアカウントも指定してください。", "A LINE user id is U and 32 hexadecimal digits; name the LINE account too."),
    "customer.line_user_id_taken": ("このLINEユーザーIDは別の顧客のものです。", "This LINE user id belongs to another customer."),
    "customer.member_no_fixed": ("会員番号は変更できません。", "The member number cannot be changed."),
    "customer.member_no_malformed": ("会員番号は英数字と . _ - で64文字までにしてください。", "A member number has up to 64 letters, digits, dots, hyphens and underscores."),
    "customer.member_no_missing": ("会員番号がありません。", "The member number is missing."),
    "customer.phone_malformed": ("電話番号は 090-1234-5678 のように書いてください。", "Write the phone number like 090-1234-5678."),
    "customer.postal_code_malformed": ("郵便番号は 123-4567 のように書いてください。", "Write the postal code like 123-4567."),
    "customer.text_malformed": ("「{field}」に使えない文字があるか、500文字を超えています。", "{field} has control characters or more than 500 characters."),
    "customer.unknown": ("この顧客は登録されていません。", "There is no such customer."),
    "duration.malformed": ("期間「{given}」はP3DやPT30Mのように書いてください。", "Write a duration like P3D or PT30M, not {given}."),
    "friend.unknown": ("この友だちは見つかりません。", "There is no such friend."),
    "idempotency.in_progress": ("同じIdempotency-Keyのリクエストを処理中です。少し待ってからもう一度送ってください。", "A request with this Idempotency-Key is in progress; try again soon."),
    "idempotency.key_missing": ("このAPIには Idempotency-Key ヘッダー（64文字まで）が必要です。", "Send an Idempotency-Key header of up to 64 characters."),
    "idempotency.other_request": ("このIdempotency-Keyは別の内容のリクエストで使われています。", "This Idempotency-Key was used for another request."),
    "import.columns_missing": ("必要な列が見つかりません: {missing}。見つかった列: {found}。", "Columns are missing: {missing}; found: {found}."),
    "import.empty": ("ファイルが空です。", "The file is empty."),
    "import.encoding_unknown": ("文字コードを判別できません。UTF-8またはShift_JISで保存してください。", "The encoding is unknown; save the file as UTF-8 or Shift_JIS."),
    "import.no_file": ("ファイルがまだアップロードされていません。", "The file has not been uploaded yet."),
    "import.quotes_broken": ("{line}行目で引用符が閉じていません。", "A quote is not closed at line {line}."),
    "import.row_length": ("列の数が見出しと違います（見出し{expected}列、この行{found}列）。", "The row has {found} cells, the header {expected}."),
    "import.started": ("この取り込みはすでに始まっています（状態: {state}）。", "This import has begun: {state}."),
    "import.too_large": ("ファイルが大きすぎます（{most}バイトまで）。", "The file is too large; the most is {most} bytes."),
    "import.unknown": ("取り込み「{import_id}」はありません。", "There is no import {import_id}."),
    "key.scope_unknown": ("権限の指定が正しくありません: {scopes}。", "Unknown or no scopes: {scopes}."),
    "key.unknown": ("APIキー「{key_id}」はありません。", "There is no API key {key_id}."),
    "link.expired": ("連携の有効期限が切れました。", "The link request has expired."),
    "link.id_malformed": ("計測リンクのIDは英小文字・数字・_で40文字までにしてください。", "A link id has up to 40 lower-case letters, digits and underscores."),
    "link.no_member_site": ("LINEアカウント「{account}」に会員ログインURLが設定されていません。", "The LINE account {account} has no member login URL."),
    "link.none": ("この顧客はLINEと連携されていません。", "The customer is not linked with LINE."),
    "link.signature_refused": ("署名が正しくありません。", "The signature is wrong."),
    "link.taken": ("計測リンク「{link_id}」はすでにあります。", "The link {link_id} exists already."),
    "link.token_malformed": ("LINEの連携トークンが正しくありません。", "The link token is malformed."),
    "link.unknown": ("計測リンク「{link_id}」はありません。", "There is no link {link_id}."),
    "link.url_malformed": ("リンク先は https:// で始まる2,000文字までのURLにしてください。", "The target must be a URL of up to 2,000 characters."),
    "notice.addresses": ("お知らせの宛先には{most}件までのメールアドレスを指定してください。", "Notices go to up to {most} e-mail addresses."),
    "order.amount_malformed": ("金額は 1,980 のように円単位の整数で書いてください。", "Write the amount as whole yen, like 1,980."),
    "order.of_another_customer": ("この注文番号は別の顧客の注文として登録されています。", "This order number belongs to another customer."),
    "order.order_no_malformed": ("注文番号は半角64文字までにしてください。", "An order number has up to 64 printable ASCII characters."),
    "order.time_malformed": ("注文日時は 2026-11-22 10:30 のように書いてください。", "Write the order time like 2026-11-22 10:30."),
    "order.twice_in_file": ("この注文番号はファイルの中に2回あります。", "This order number occurs twice in the file."),
    "resource.unknown": ("見つかりません。", "Not found."),
    "scenario.changed_meanwhile": ("シナリオがほかの操作で変わりました。読み込み直してください。", "The scenario has changed meanwhile; load it again."),
    "scenario.has_problems": ("シナリオに問題があるため公開できません。problemsの各項目を直してください。", "The scenario cannot be published; see problems."),
    "scenario.id_malformed": ("シナリオIDは英小文字で始まる24文字までの英小文字・数字・_にしてください。", "A scenario id has up to 24 lower-case letters, digits and underscores and starts with a letter."),
    "scenario.malformed": ("シナリオの {path} が正しくありません（{problem}）。", "The scenario is malformed at {path}: {problem}."),
    "scenario.not_active": ("このシナリオは公開中ではありません。", "The scenario is not active."),
    "scenario.not_paused": ("このシナリオは一時停止中ではありません。", "The scenario is not paused."),
    "scenario.unknown": ("シナリオ「{scenario_id}」はありません。", "There is no scenario {scenario_id}."),
    "scenario.version_unknown": ("シナリオ「{scenario_id}」の版{version}はありません。", "There is no version {version} of {scenario_id}."),
    "segment.changed_meanwhile": ("セグメントがほかの操作で変わりました。読み込み直してください。", "The segment has changed meanwhile; load it again."),
    "segment.id_malformed": ("セグメントIDは seg_ で始まる英数字と_で、40文字までにしてください。", "A segment id starts with seg_ and has up to 40 letters, digits and underscores."),
    "segment.name_empty": ("セグメントの名前がありません。", "The segment needs a name."),
    "segment.unknown": ("セグメント「{segment_id}」はありません。", "There is no segment {segment_id}."),
    "step.unknown": ("処理「{op}」はありません。", "There is no step {op}."),
    "tag.name_empty": ("タグの名前またはIDが正しくありません。", "The tag needs a name."),
    "tag.name_taken": ("タグ「{name}」はすでにあります。", "The tag {name} exists already."),
    "tag.name_too_long": ("タグの名前は{most}文字までにしてください。", "A tag name has up to {most} characters."),
    "tag.too_many": ("1人に付けられるタグは{most}個までです。", "A person carries at most {most} tags."),
    "tag.unknown": ("タグ「{tag_id}」はありません。", "There is no tag {tag_id}."),
    "template.changed_meanwhile": ("テンプレートがほかの操作で変わりました。読み込み直してください。", "The template has changed meanwhile; load it again."),
    "template.id_malformed": ("テンプレートIDは tpl_ で始まる英数字と_にしてください。", "A template id starts with tpl_."),
    "template.invalid": ("テンプレートがLINEまたは配信チャネルの上限を超えているか、正しくありません。problemsの各項目を直してください。", "The template breaks its channel's limits; see problems."),
    "template.name_empty": ("テンプレートの名前がありません。", "The template needs a name."),
    "template.taken": ("このテンプレートIDはすでにあります。", "The template id exists already."),
    "template.unknown": ("テンプレート「{template_id}」はありません。", "There is no template {template_id}."),
    "tick.unknown": ("予定「{kind}」はありません。", "There is no tick {kind}."),
    "time.malformed": ("時刻「{given}」が正しくありません。", "The time {given} is malformed."),
    "token.invalid": ("リンクが正しくありません。", "The token is invalid."),
    "webhook.id_malformed": ("WebhookのIDは英小文字で始まる40文字までの英小文字・数字・_・-にしてください。", "A webhook id has up to 40 lower-case letters, digits, underscores and hyphens and starts with a letter."),
    "webhook.unknown": ("Webhook「{hook_id}」はありません。", "There is no webhook {hook_id}."),
    "webhook.url_malformed": ("WebhookのURLは https:// で始まる2,000文字までのURLにしてください。", "A webhook's address must be an https URL of up to 2,000 characters."),
    "window.empty": ("配信時間帯の開始と終了が同じです（{start}）。", "The delivery window starts and ends at {start}."),
}  # fmt: skip


def problem_of(error: DomainError) -> dict[str, Any]:
    """Return the problem document of an error (RFC 9457), with its code and Japanese and English sentences."""
    japanese, english = SENTENCES.get(error.code, ("処理できませんでした。", "This could not be done."))
    details = {name: value for name, value in error.details.items() if name in ("problems", "scopes", "known", "missing")}
    return {
        "type": f"https://enishi.dev/problems/{error.code}",
        "title": _filled(japanese, error.details),
        "detail": _filled(english, error.details),
        "status": error.status,
        "code": error.code,
        **details,
    }


def _filled(sentence: str, details: Mapping[str, Any]) -> str:
    for name, value in details.items():
        text = "、".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)
        sentence = sentence.replace(f"{{{name}}}", text[:300])
    return sentence
