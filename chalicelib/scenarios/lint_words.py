"""What the linter's codes mean, and what to do: Japanese for people with English beside it."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.scenarios.lint_parts import Problem

SENTENCES: dict[str, tuple[str, str]] = {
    "account_unknown": ("LINE公式アカウント「{name}」は接続されていません。接続するか、別のアカウントを選んでください。", "There is no LINE account {name}; connect it or choose another."),
    "account_without_line": ("アカウントの指定はLINEで送るステップだけに使えます。指定を消してください。", "Only a step that sends by LINE can name an account; remove it."),
    "action_incomplete": ("アクション「{action}」には {path} が必要です。", "The action {action} needs {path}."),
    "action_unknown": ("アクション「{name}」はまだ使えません。別のアクションにしてください。", "The action {name} is not available yet; choose another."),
    "action_word": ("アクション「{action}」に {path} は使えません。消してください。", "The action {action} has no {path}; remove it."),
    "amount_negative": ("{path} は0以上の金額にしてください。", "Give {path} an amount of at least 0 yen."),
    "attribute_malformed": ("友だち情報の名前は引用符のない{most}文字までにしてください。", "An attribute's name has up to {most} characters and no quotation marks."),
    "before_without_instant": ("「何時間前」は開始条件が持つ日時（trigger.…）だけに使え、at・offset_days・yearly とは一緒に使えません。", "Only a date of the trigger can be waited for with `before`, without at, offset_days and yearly."),
    "cap_malformed": ("{path} の上限は1〜{most}通、期間は{days}日までにしてください。", "The cap {path} allows 1 to {most} messages in up to {days} days."),
    "case_never_reached": ("{path} の分岐には誰も進みません。前の分岐が全員、または同じ条件の人を先に受け取ります。順番か条件を直してください。", "Nobody takes {path}: an earlier case takes everybody or has the same condition."),
    "condition_cycle": ("{path} のセグメントは、自分自身をたどってしまいます。セグメントの条件を直してください。", "The saved segment at {path} leads back to itself; mend its condition."),
    "condition_field_unknown": ("{path} の項目名は使えません。一覧から選んでください。", "The condition names an unknown field at {path}; choose one from the list."),
    "condition_gender": ("{path} の性別「{given}」は使えません。female、male、other のどれかにしてください。", "There is no gender {given} at {path}; write female, male or other."),
    "condition_kind": ("{path} には条件をちょうど1つ書いてください。", "Write exactly one condition at {path}."),
    "condition_malformed": ("{path} の条件の形が正しくありません。", "The condition is malformed at {path}."),
    "condition_no_send": ("{path} の条件が指す「{target}」は、送信のステップではありません。送信のステップを選んでください。", "The condition at {path} asks about {target}, which sends nothing; choose a step that sends."),
    "condition_no_such_day": ("{path} の日付「{given}」はありません。2026-01-31 のように書いてください。", "There is no day {given} at {path}; write it like 2026-01-31."),
    "condition_of_a_run": ("{path} のような途中経過の条件は分岐の中だけで使えます。分岐に移してください。", "What stands at {path} asks about a run: only a branch can ask that."),
    "condition_segment_unknown": ("{path} のセグメント「{segment_id}」はありません。作るか、別のセグメントを選んでください。", "The condition names the unknown segment {segment_id} at {path}."),
    "condition_too_deep": ("{path} の条件が深すぎます（{most}段まで）。セグメントの中も数えます。", "The condition is too deep at {path}; the most is {most} levels, saved segments counted in."),
    "condition_too_large": ("{path} の条件が大きすぎます（{most}まで）。セグメントに分けてください。", "The condition is too large at {path}; the most is {most}."),
    "condition_unknown_key": ("{path} は知らない指定です。消してください。", "The condition has an unknown key at {path}; remove it."),
    "condition_value": ("{path} の値が正しくありません。", "The condition has a wrong value at {path}."),
    "dangling_edge": ("次のステップ「{target}」がありません。つなぎ先を選んでください。", "The next step {target} does not exist; choose where to go."),
    "date_unknown": ("{path} の日付「{given}」は使えません。誕生日などの日付か、attribute.… または trigger.… を選んでください。", "There is no date {given} at {path}; choose one from the list, an attribute or a date of the trigger."),
    "days_out_of_range": ("{path} は1〜{most_days}日にしてください。", "Give {path} 1 to {most_days} days."),
    "duration_malformed": ("{path} の期間「{given}」はP3DやPT30Mのように書いてください。", "Write {path} like P3D or PT30M, not {given}."),
    "id_malformed": ("ステップのIDは英小文字で始まる20文字までの英小文字・数字・_にしてください。", "A step's id has up to 20 lower-case letters, digits and underscores and starts with a letter."),
    "key_without_always": ("reentry.key は、くり返し参加（always）のときだけ使えます。", "Only re-entry `always` can have a key."),
    "label_too_long": ("名前は{most}文字までにしてください。", "A label has up to {most} characters."),
    "link_unknown": ("計測リンク「{name}」はありません。計測リンクを作るか、{path} を直してください。", "There is no tracked link {name}; make it, or change {path}."),
    "live_segment_unknown": ("セグメント「{name}」は出入りを見ていません。セグメントで「出入りを見る」を有効にしてください。", "The segment {name} is not live: nobody is told who comes into it and goes; make it live first."),
    "loop_without_wait": ("待機のないくり返しです。このままでは同じ瞬間に送り続けます。くり返しの中に待機を入れてください。", "This loop passes no wait and would send without end; put a wait into it."),
    "name_empty": ("シナリオの名前を書いてください。", "Give the scenario a name."),
    "name_too_long": ("シナリオの名前は{most}文字までにしてください。", "A scenario's name has up to {most} characters."),
    "no_cases": ("分岐に条件がありません。条件を1つ以上足してください。", "The branch has no case; add one."),
    "number_too_large": ("{path} は±{most}までにしてください。", "Give {path} at most {most}."),
    "occasion_name_missing": ("{path} にイベントの名前を書いてください。", "Write the custom event's name at {path}."),
    "occasion_segment_missing": ("{path} にセグメントを選んでください。", "Choose a segment at {path}."),
    "occasion_word": ("「{event}」は {path} では絞り込めません（使えるもの: {known}）。消してください。", "The event {event} cannot be narrowed by {path}, only by: {known}."),
    "of_is_no_send": ("反応を待つ相手「{target}」は、送信のステップではありません。送信のステップを選んでください。", "A reaction is awaited to {target}, which sends nothing; choose a step that sends."),
    "of_never_before": ("「{target}」を受け取った人は、このステップを通りません。先に通る送信のステップを選んでください。", "Nobody who was sent {target} comes here; choose a send that precedes this step."),
    "offset_too_far": ("{path} は前後{most_days}日までにしてください。", "Give {path} at most {most_days} days."),
    "scenario_itself": ("シナリオは自分自身を開始・中止できません。別のシナリオを選ぶか、終了のステップにつないでください。", "A scenario cannot start or stop itself; choose another one, or lead to an end."),
    "scenario_unknown": ("シナリオ「{name}」はありません。作るか、別のシナリオを選んでください。", "There is no scenario {name}; make it or choose another."),
    "schedule_date": ("日付「{given}」が正しくありません。1回だけ（once）のときは2026-12-01のように書き、それ以外では消してください。", "Write a date like 2026-12-01 for `once`, and none otherwise, not {given}."),
    "schedule_day": ("毎月（month）のときは1〜31の日を書き、それ以外では消してください。", "Give a day from 1 to 31 for `month`, and none otherwise."),
    "schedule_past": ("開始日時（{given}）が過ぎています。これからの日時にしてください。", "The time to begin ({given}) is past; choose a later one."),
    "schedule_weekdays": ("毎週（week）のときは曜日を1つ以上選び、それ以外では消してください。", "Choose weekdays for `week`, and none otherwise."),
    "segment_unknown": ("セグメント「{name}」はありません。作るか、{path} で別のセグメントを選んでください。", "There is no segment {name}; make it, or choose another at {path}."),
    "shares_malformed": ("ランダム分岐には2つ以上の行き先と、1〜{most}の割合が必要です。", "A split needs two ways or more, each with a weight from 1 to {most}."),
    "start_unknown": ("最初のステップ「{target}」がありません。最初のステップを選んでください。", "The first step {target} does not exist; choose one."),
    "tag_unknown": ("タグ「{name}」はありません。タグを作るか、{path} で別のタグを選んでください。", "There is no tag {name}; make it, or choose another at {path}."),
    "template_of_other_channel": ("テンプレート「{name}」の配信チャネルは {channel} です。同じ配信チャネルのテンプレートを選んでください。", "The template {name} is for {channel}; choose one of this step's channel."),
    "template_unknown": ("テンプレート「{name}」はありません。作るか、別のテンプレートを選んでください。", "There is no template {name}; make it or choose another."),
    "text_too_long": ("{path} は{most}文字までにしてください。", "The {path} has up to {most} characters."),
    "time_malformed": ("{path} の時刻「{given}」は10:00のように書いてください。", "Write {path} like 10:00, not {given}."),
    "too_long": ("{path} は{most_days}日までにしてください。", "Give {path} at most {most_days} days."),
    "trigger_tag_missing": ("開始条件のタグを選んでください。", "Choose the tag that starts the scenario."),
    "unreachable": ("このステップには誰も来ません。どこかからつなぐか、消してください。", "Nobody comes here; lead to it from somewhere or delete it."),
    "wait_empty": ("待つ長さがありません。期間、時刻、曜日のどれかを {path} に書いてください。", "Nothing is waited for at {path}; give a length, a clock time or weekdays."),
    "wait_two_ways": ("期間・曜日と、本人の日付（until）は一緒に使えません。どちらかにしてください。", "Wait either for a length or until a person's own date, not both."),
    "way_without_until": ("{path} は本人の日付（until）を待つときだけ使えます。", "Only a wait until a person's own date has {path}."),
    "webhook_unknown": ("Webhook「{name}」はありません。作るか、別のWebhookを選んでください。", "There is no webhook {name}; make it or choose another."),
    "window_empty": ("配信しない時間帯の開始と終了が同じです。", "The quiet hours begin and end at the same time."),
    "wrong_number_of_nodes": ("ステップは1〜{most}個にしてください。", "A scenario has 1 to {most} steps."),
}  # fmt: skip


def explained(problem: Problem) -> Problem:
    """Return a problem with its sentences, `ja` and `en`."""
    japanese, english = SENTENCES[problem["code"]]
    return {**problem, "ja": _filled(japanese, problem), "en": _filled(english, problem)}


def _filled(sentence: str, details: Mapping[str, str]) -> str:
    for name, value in details.items():
        sentence = sentence.replace(f"{{{name}}}", value)
    return sentence
