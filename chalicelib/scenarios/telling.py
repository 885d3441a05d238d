"""What happened to a person in a scenario, as a sentence in Japanese and English with its reason; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from chalicelib.delivery.model import reason
from chalicelib.kernel.windows import JST, parse_duration
from chalicelib.scenarios.graph import ActionNode, BranchNode, EndNode, Scenario, SendNode, SplitNode, WaitForResponseNode, WaitNode
from chalicelib.scenarios.paths import Step
from chalicelib.segments.sentence import Sentence

CHANNELS = {"line": ("LINE", "LINE"), "email": ("メール", "e-mail"), "sms": ("SMS", "SMS"), "postal": ("郵送DM", "letter")}
# Why somebody left, by the word that the enrollment keeps.
EXITS: Mapping[str, tuple[str, str]] = {
    "goal": ("目標達成のため終了", "left: reached the goal"),
    "blocked": ("LINEアカウントがブロックされたため終了", "left: blocked the LINE account"),
    "opted_out": ("配信停止を希望したため終了", "left: opted out"),
    "left_segment": ("対象の条件から外れたため終了", "left: no longer fulfils the scenario's condition"),
    "stopped": ("シナリオが中止されたため終了", "left: the scenario was called off"),
    "stopped_by_scenario": ("ほかのシナリオの指示で終了", "left: another scenario asked for it"),
    "version_moved": ("新しい版にこのステップがないため終了", "left: the new version has no such step"),
    "merged": ("ID連携で1人にまとまり、先に始まった登録だけを続けるため終了", "left: linked; the earlier run goes on alone"),
    "erased": ("顧客情報が消去されたため終了", "left: the person was erased"),
    "purchase": ("購入があったため終了", "left: a purchase"),
    "first_purchase": ("初回購入があったため終了", "left: a first purchase"),
    "tag_added": ("タグが付いたため終了", "left: a tag was added"),
    "tag_removed": ("タグが外れたため終了", "left: a tag was removed"),
    "segment_entered": ("セグメントに入ったため終了", "left: came into a segment"),
    "segment_left": ("セグメントから出たため終了", "left: went out of a segment"),
}
_ACTIONS = {
    "tag_add": ("タグを付けました", "added a tag"),
    "tag_remove": ("タグを外しました", "removed a tag"),
    "attribute_set": ("友だち情報を書き込みました", "set an attribute"),
    "attribute_add": ("友だち情報に加算しました", "added to an attribute"),
    "score_add": ("スコアを加算しました", "added to the score"),
    "scenario_start": ("別のシナリオを開始しました", "started another scenario"),
    "scenario_stop": ("別のシナリオを終了しました", "ended another scenario"),
    "notify_staff": ("スタッフへ知らせました", "told the staff"),
    "webhook": ("外部システムへ知らせました", "called a webhook"),
    "rich_menu": ("リッチメニューを切り替えました", "switched the rich menu"),
    "coupon": ("クーポンを渡しました", "gave a coupon"),
    "points": ("ポイントを付けました", "gave points"),
}


def label_of(graph: Scenario, node_id: str) -> str:
    """Return what a step is called on the drawing, its id when nobody gave it a name."""
    node = graph.nodes.get(node_id)
    if isinstance(node, EndNode):
        return node.label or node.outcome or node_id
    return node.label or node_id if node else node_id


def when(moment: datetime | None) -> str:
    """Return an instant as people in Japan write it."""
    if moment is None:
        return "?"
    local = moment.astimezone(JST)
    return f"{local.year}/{local.month}/{local.day} {local:%H:%M}"


def length(text: str) -> tuple[str, str]:
    """Return an ISO 8601 duration in words."""
    whole = parse_duration(text or "P0D")
    hours, minutes = divmod(whole.seconds // 60, 60)
    parts = [(whole.days, "日", "d"), (hours, "時間", "h"), (minutes, "分", "min")]
    told = [(f"{number}{ja}", f"{number} {en}") for number, ja, en in parts if number]
    return "".join(ja for ja, _ in told) or "0分", " ".join(en for _, en in told) or "0 min"


def exit_of(word: str) -> Sentence:
    """Return why somebody left before the end."""
    return Sentence(*EXITS.get(word, (f"終了条件「{word}」に当てはまったため終了", f"left: {word}")))


# Why a message waits: the words of delivery.model.Hold.
_HOLDS = {
    "quiet_hours": ("配信時間外のため", "outside the delivery hours"),
    "best_hour": ("よく反応する時間帯に合わせるため", "for the hour in which the person usually responds"),
    "cap": ("配信回数の上限のため", "because of the cap on messages"),
}


def tell(step: Step, graph: Scenario) -> Sentence:
    """Return a step of a path as a sentence. graph: of the step's version."""
    goes_ja, goes_en = (
        (f"「{label_of(graph, step.target)}」へ", f"on to {label_of(graph, step.target)}") if step.target else ("", "")
    )
    match step.what:
        case "entered":
            return Sentence("シナリオに登録されました", "entered the scenario")
        case "sent" | "skipped" | "held" | "stands":
            return _at_send(step, graph, goes_ja, goes_en)
        case "waited" | "waiting" | "timed_out" | "responded" | "missing" | "past":
            return _at_wait(step, graph, goes_ja, goes_en)
        case "case" | "otherwise" | "share":
            return _at_fork(step, graph, goes_ja, goes_en)
        case "acted":
            node = graph.nodes.get(step.node)
            return Sentence(*_ACTIONS.get(node.do if isinstance(node, ActionNode) else step.why, ("処理しました", "did an action")))
        case "relocated":
            before, _, after = step.why.partition(" ")
            return Sentence(f"v{before}→v{after}へ移動（{goes_ja}）", f"moved from v{before} to v{after}, {goes_en}")
        case "ended":
            return Sentence(f"最後まで進んで完了（{step.why}）", f"completed: {step.why}")
        case "exited":
            return exit_of(step.why)
        case other:
            return Sentence(other, other)


def _at_send(step: Step, graph: Scenario, goes_ja: str, goes_en: str) -> Sentence:
    node = graph.nodes.get(step.node)
    channel_ja, channel_en = CHANNELS[node.channel] if isinstance(node, SendNode) else ("", "")
    if step.what == "sent":
        return Sentence(f"{channel_ja}で送信", f"sent by {channel_en}")
    if step.what == "stands":
        return Sentence("この処理の順番を待っています", "about to be done")
    if step.what == "held":
        ja, en = _HOLDS[step.why]
        return Sentence(f"{ja}、{when(step.until)}まで待機", f"{en}, waits until {when(step.until)}")
    if step.why == "paused":
        return Sentence("一時停止中に期限が過ぎたため飛ばしました", "left out: fell due while the scenario was paused")
    ja, en = reason(step.why)
    if isinstance(node, SendNode) and node.unreachable and step.target == node.unreachable:
        return Sentence(f"{ja}{channel_ja}では送れず、代わりに{goes_ja}", f"not sent by {channel_en} ({en}); instead {goes_en}")
    return Sentence(f"{ja}送りませんでした" if ja.endswith("ため") else ja, f"not sent: {en}")


def _at_wait(step: Step, graph: Scenario, goes_ja: str, goes_en: str) -> Sentence:
    node = graph.nodes.get(step.node)
    if step.what == "responded":
        return Sentence(f"反応があったため{goes_ja}", f"responded, {goes_en}")
    if step.what == "timed_out" and isinstance(node, WaitForResponseNode):
        ja, en = length(node.timeout)
        if isinstance(graph.nodes.get(step.target), SendNode):
            goes_ja, goes_en = f"{goes_ja}（再送・代替配信）", f"{goes_en} (again)"
        return Sentence(f"{ja}以内に反応がなかったため{goes_ja}", f"no response within {en}, {goes_en}")
    if step.what == "missing":
        return Sentence(f"日付が登録されていないため{goes_ja}", f"no such date is known, {goes_en}")
    if step.what == "past":
        return Sentence(f"日付が過ぎていたため{goes_ja}", f"the date was past, {goes_en}")
    if step.what == "waiting":
        waits_ja, waits_en = (
            ("反応を待っています", "waits for a response") if isinstance(node, WaitForResponseNode) else ("待機", "waits")
        )
        return Sentence(f"{when(step.until)}まで{waits_ja}", f"{waits_en} until {when(step.until)}")
    if isinstance(node, WaitNode) and node.until is not None:
        return Sentence("指定の日になりました", "the day has come")
    return Sentence(f"{when(step.until)}まで待機しました", f"waited until {when(step.until)}")


def _at_fork(step: Step, graph: Scenario, goes_ja: str, goes_en: str) -> Sentence:
    node = graph.nodes.get(step.node)
    if step.what == "case" and isinstance(node, BranchNode) and step.why.isdigit() and int(step.why) <= len(node.cases):
        name = node.cases[int(step.why) - 1].label or f"条件{step.why}"
        return Sentence(f"「{name}」に当てはまったため{goes_ja}", f"fulfils case {step.why}, {goes_en}")
    if isinstance(node, SplitNode):
        share = next((share for share in node.shares if share.next == step.target), None)
        whole = sum(share.weight for share in node.shares)
        percent = round(100 * share.weight / whole) if share else 0
        return Sentence(f"ランダムな振り分け（{percent}%）で{goes_ja}", f"by a random share of {percent} %, {goes_en}")
    return Sentence(f"どの条件にも当てはまらないため{goes_ja}", f"fulfils no case, {goes_en}")
