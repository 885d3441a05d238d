// The panel that breaks things on purpose.
import { call } from "./api.js";
import { button, field, make } from "./dom.js";
import { act } from "./store.js";

const NAMES = {
  rate_limited: "429 レート制限", monthly_limit: "429 月の配信上限", unauthorized: "401 トークンの期限切れ", forbidden: "403 利用できない",
  not_found: "404 見つからない", conflict: "409 リトライキーが使用済み", gone: "410 取り消されたメッセージ", too_large: "413 大きすぎる",
  unsupported_media: "415 Content-Typeが不正", error_before_accept: "500（受け付ける前）", error_after_accept: "500（受け付けた後）",
  hang_before_accept: "応答なし（受け付ける前）", hang_after_accept: "遅い応答（受け付けた後）", drop_before_accept: "切断（受け付ける前）",
  drop_connection: "切断（受け付けた後）", truncated_json: "途中で切れたJSON", clock_skew: "Dateヘッダーのずれ", token_slow: "トークン発行が遅い",
  token_failing: "トークン発行が失敗", transcoding_slow: "動画の準備が遅い", transcoding_failed: "動画の準備が失敗", insight_unready: "統計がまだない",
  audience_failed: "オーディエンス作成が失敗", narrowcast_failed: "ナローキャストが失敗", narrowcast_slow: "ナローキャストが遅い",
  next_token_expired: "続きのトークンが期限切れ", webhook_duplicate: "Webhookが二重に届く", webhook_burst: "Webhookが一度に多数届く",
  webhook_reorder: "Webhookの順序が入れ替わる", webhook_delay: "Webhookが遅れる", webhook_batch: "複数のイベントが1つに", webhook_split: "本文が分かれて届く",
  webhook_empty: "イベントが空", webhook_redelivery: "再送の印が付く", webhook_bad_signature: "署名が合わない", webhook_no_signature: "署名がない",
  webhook_malformed: "JSONではない本文", webhook_unknown_event: "未知のイベント", webhook_unknown_mode: "未知のmode", webhook_unknown_value: "未知の値",
  webhook_extra_fields: "余分な項目", webhook_no_user_id: "userIdがない", webhook_no_is_unblocked: "isUnblockedがない",
  webhook_wrong_destination: "別アカウント宛て", webhook_standby: "standbyモード", webhook_escaped: "\\uエスケープされた本文",
  webhook_oversized_text: "とても長いテキスト", webhook_clock_skew: "timestampのずれ", webhook_lost: "Webhookが届かない", webhook_stopped: "Webhookの停止",
  login_denied: "ログインの拒否", login_state_lost: "stateの消失", login_code_reused: "使用済みの認可コード", id_token_wrong_audience: "IDトークンのaudが違う",
  id_token_wrong_issuer: "IDトークンのissが違う", id_token_wrong_nonce: "IDトークンのnonceが違う", id_token_wrong_algorithm: "IDトークンのalgがnone",
  id_token_bad_signature: "IDトークンの署名が違う", id_token_expired: "IDトークンの期限切れ", link_failed: "アカウント連携が失敗", link_no_webhook: "アカウント連携のWebhookが届かない",
};

/** Return the Japanese name of a kind of fault, or the kind itself. */
export const faultName = (kind) => NAMES[kind] || kind;

export class FaultPanel {
  constructor() {
    this.node = make("section");
    this.form = make("form", "stack");
    this.list = make("ul", "faults");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.add(new FormData(this.form));
    });
    this.node.append(make("p", "hint", "ボットやアプリの備えを試すために、わざと失敗させます。"), this.form, make("h3", "", "有効な障害"), this.list);
  }

  add(values) {
    const times = Number(values.get("times"));
    const path = String(values.get("path")).trim();
    return act(() => call("POST", "/_sim/faults", { kind: values.get("kind"), ...(times ? { times } : {}), ...(path ? { path } : {}) }));
  }

  async refresh() {
    const { faults, kinds } = await call("GET", "/_sim/faults");
    if (!this.form.firstChild) this.fill(kinds);
    const rows = faults.map((one) => {
      const row = make("li");
      const limit = one.times ? `${one.applied} / ${one.times}回` : `${one.applied}回`;
      const name = make("strong", "", faultName(one.kind));
      name.title = one.kind;
      row.append(name, make("span", "hint", `${one.path || ""} ${limit}`),
        button({ text: "取り消す", label: `${faultName(one.kind)}を取り消す`, work: () => act(() => call("DELETE", `/_sim/faults/${one.id}`)) }));
      return row;
    });
    this.list.replaceChildren(...(rows.length ? rows : [make("li", "hint", "ありません")]));
  }

  fill(kinds) {
    const options = Object.keys(kinds).map((kind) => [kind, faultName(kind) === kind ? `${kind} — ${kinds[kind]}` : `${NAMES[kind]}（${kind}）`]);
    this.form.append(
      field({ label: "障害の種類", name: "kind", options }),
      field({ label: "回数（空なら何度でも）", name: "times", type: "number", value: "1" }),
      field({ label: "APIのパス（空ならすべて）", name: "path", placeholder: "/v2/bot/message/*" }),
      make("button", "main", "障害を起こす"),
    );
  }
}
