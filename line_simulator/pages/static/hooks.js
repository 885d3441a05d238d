// The log of webhooks: what was sent to the bots, how they answered, and sending it again.
import { call } from "./api.js";
import { button, make } from "./dom.js";
import { faultName } from "./faults.js";
import { summary } from "./messages.js";
import { act, channelOf, memory, store } from "./store.js";
import { full, instant } from "./times.js";

const STATES = { waiting: "送信中", delivered: "成功", failed: "失敗", lost: "消失（障害設定）", not_sent: "送信先なし" };
const REASONS = {
  OK: "", COULD_NOT_CONNECT: "接続できません", REQUEST_TIMEOUT: "2秒以内に応答がありません", ERROR_STATUS_CODE: "エラー応答", UNCLASSIFIED: "不明なエラー",
};
const LIMIT = 60;

/** Say how a bot answered. A bot that fails in the middle looks to LINE like one that is absent; whoever mends it must know. */
export function outcome(one) {
  if (one.status) return `HTTP ${one.status}`;
  return one.detail === "Connection closed without a response" ? "応答せずに切断（ボットのエラー？）" : REASONS[one.reason] || one.reason || "—";
}

export class WebhookLog {
  constructor(node) {
    this.node = node;
    this.isOpen = memory.get("log", true);
    this.onClose = () => {};
    this.opened = new Set();
    const head = make("header");
    this.count = make("span", "hint");
    head.append(make("h2", "", "Webhookの記録"), this.count, button({ icon: "close", size: 16, label: "記録を閉じる", className: "tool", work: () => { this.toggle(); this.onClose(); } }));
    this.list = make("div", "rows");
    node.append(head, this.list);
    node.hidden = !this.isOpen;
  }

  toggle() {
    this.isOpen = !this.isOpen;
    this.node.hidden = !this.isOpen;
    memory.set("log", this.isOpen);
    if (this.isOpen) this.refresh().catch(() => {});
    return this.isOpen;
  }

  async refresh() {
    if (!this.isOpen) return;
    const { webhooks } = await call("GET", `/_sim/webhooks?limit=${LIMIT}`);
    const mark = JSON.stringify(webhooks);
    if (mark === this.mark) return;
    this.mark = mark;
    this.count.textContent = webhooks.length ? `新しい順に${webhooks.length}件` : "まだありません。話しかけると、ここに並びます。";
    this.node.classList.toggle("none", !webhooks.length);
    this.list.replaceChildren(...webhooks.reverse().map((one) => this.row(one)));
  }

  row(hook) {
    const node = make("details", `hook ${hook.state}`);
    node.open = this.opened.has(hook.id);
    node.addEventListener("toggle", () => this.opened[node.open ? "add" : "delete"](hook.id));
    const head = make("summary");
    const channel = channelOf(hook.channel);
    const state = (STATES[hook.state] || hook.state) + (hook.attempts.length > 1 ? `（${hook.attempts.length}回）` : "");
    head.append(
      make("span", "number", `#${hook.id}`),
      make("time", "", full(instant(hook.createdAt)).slice(-8)),
      make("span", "account", channel ? channel.name : hook.channel),
      digest(hook),
      make("span", `state ${hook.state}`, state),
      make("span", "answer", outcome(hook)),
      make("span", "latency", hook.latencyMs === null ? "" : `${Math.round(hook.latencyMs)} ms`),
      hook.fault ? make("span", "fault", `障害: ${faultName(hook.fault)}`) : "",
      button({ text: "再送", label: `#${hook.id}をもう一度送る`, work: (event) => {
        event.preventDefault();
        act(() => call("POST", `/_sim/webhooks/${hook.id}/replay`));
      } }),
    );
    node.append(head, this.details(hook));
    return node;
  }

  details(hook) {
    const node = make("div", "hookdetails");
    const facts = make("dl", "facts");
    const add = (name, value) => facts.append(make("dt", "", name), make("dd", "", value));
    add("x-line-signature", hook.signature || "（なし）");
    hook.attempts.forEach((one, index) => add(`${index + 1}回目`,
      `${full(instant(one.at)).slice(-8)}　${outcome(one)}　${Math.round(one.latencyMs)} ms`));
    node.append(facts, make("pre", "", pretty(hook.body)));
    return node;
  }
}

/** Return what the events say in a few words, and whose they are. */
function digest(hook) {
  const node = make("span", "digest");
  node.append(make("strong", "", hook.events.join(", ") || "接続確認"));
  let event = {};
  try {
    event = (JSON.parse(hook.body).events || [])[0] || {};
  } catch {
    return node;
  }
  const words = event.message ? summary(event.message) : event.postback ? postback(event.postback) : "";
  const source = event.source || {};
  const person = store.names[source.userId] || "";
  const group = store.groups[source.groupId || source.roomId] || "";
  node.append(make("span", "", [group, person, words].filter(Boolean).join("　")));
  return node;
}

function postback(part) {
  const params = Object.values(part.params || {}).join(" ");
  return [part.data, params].filter(Boolean).join("　");
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 1);
  } catch {
    return body;
  }
}
