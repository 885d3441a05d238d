// Accounts in the drawer: what a bot needs to connect, and what the console would let its owner switch.
import { call } from "./api.js";
import { avatar, button, field, make, toggle } from "./dom.js";
import { outcome as outcomeOf } from "./hooks.js";
import { act, store } from "./store.js";

const REASONS = { OK: "成功しました", ERROR_STATUS_CODE: "エラーが返りました" };

export class AccountPanel {
  constructor() {
    this.node = make("section");
    this.mark = "";
  }

  async refresh() {
    const mark = JSON.stringify(store.channels);
    // Whoever is typing an address goes on typing.
    if (mark === this.mark || (this.node.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox])"))) return;
    const opened = new Set([...this.node.querySelectorAll("details[open]")].map((one) => one.dataset.id));
    const isFirst = !this.mark;
    this.mark = mark;
    this.node.replaceChildren(...store.channels.map((one, index) => account(one, isFirst ? index === 0 : opened.has(one.id))), newAccount());
  }
}

function set(channel, values) {
  return act(() => call("POST", "/_sim/channels", { id: channel.id, name: channel.name, ...values }));
}

function account(channel, isOpen) {
  const node = make("details", "account");
  node.dataset.id = channel.id;
  node.open = isOpen;
  const head = make("summary");
  const used = Object.values(channel.used || {}).reduce((sum, one) => sum + one, 0);
  head.append(avatar(channel.name, channel.pictureUrl, "avatar small"), make("strong", "", channel.name), make("span", "hint", `友だち ${channel.friends}人 ・ 配信 ${used}通`));
  node.append(head, webhook(channel), credentials(channel), snippets(channel));
  return node;
}

function webhook(channel) {
  const node = make("div", "stack");
  const form = make("form", "inline");
  form.append(field({ label: "Webhook URL", name: "url", type: "url", value: channel.webhookUrl || "", placeholder: "http://127.0.0.1:8000/webhook", maxLength: 500, required: true }), make("button", "main", "保存"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.activeElement.blur();
    set(channel, { webhookUrl: String(new FormData(form).get("url")).trim() });
  });
  const outcome = make("output", "hint");
  const row = make("div", "buttons");
  row.append(
    toggle("Webhookの利用", channel.webhookActive, (isOn) => set(channel, { webhookActive: isOn })),
    toggle("Webhookの再送", channel.redelivery, (isOn) => set(channel, { redelivery: isOn })),
    toggle("チャット（手動で既読）", channel.chatMode === "chat", (isOn) => set(channel, { chatMode: isOn ? "chat" : "bot" })),
  );
  const check = button({ text: "接続確認", work: async () => {
    outcome.textContent = "確認しています…";
    try {
      const told = await call("POST", "/_sim/webhooks/test", { channel: channel.id });
      outcome.textContent = `${REASONS[told.reason] || outcomeOf(told)}${told.status ? `（HTTP ${told.status}、${Math.round(told.latencyMs)} ms）` : ""}`;
    } catch (error) {
      outcome.textContent = error.message;
    }
  } });
  check.disabled = !channel.webhookUrl;
  const checking = make("div", "buttons");
  checking.append(check, outcome);
  node.append(form, row, checking);
  return node;
}

function copyable(label, value, hidden = false) {
  const node = make("div", "copyable");
  const text = make("code", "", hidden ? "•".repeat(24) : value);
  node.append(make("span", "", label), text);
  if (hidden) {
    const eye = button({ text: "表示", label: `${label}を表示`, work: () => {
      const isShown = text.textContent === value;
      text.textContent = isShown ? "•".repeat(24) : value;
      eye.firstChild.textContent = isShown ? "表示" : "隠す";
    } });
    node.append(eye);
  }
  node.append(copyButton(value, `${label}をコピー`));
  return node;
}

function copyButton(value, label) {
  const node = button({ text: "コピー", label, work: async () => {
    try {
      await navigator.clipboard.writeText(value);
      node.firstChild.textContent = "コピーしました";
    } catch {
      node.firstChild.textContent = "コピーできません";
    }
    setTimeout(() => { node.firstChild.textContent = "コピー"; }, 1500);
  } });
  return node;
}

function credentials(channel) {
  const node = make("div", "stack");
  node.append(
    copyable("チャネルID", channel.id),
    copyable("チャネルシークレット", channel.secret, true),
    copyable("チャネルアクセストークン", channel.accessToken, true),
    copyable("ボットのユーザーID", channel.botUserId),
  );
  return node;
}

function snippets(channel) {
  const origin = window.location.origin;
  const codes = {
    "Python（line-bot-sdk）": `configuration = Configuration(host="${origin}", access_token="${channel.accessToken}")\nhandler = WebhookHandler("${channel.secret}")`,
    "Node.js（@line/bot-sdk）": `const client = LineBotClient.fromChannelAccessToken({ channelAccessToken: "${channel.accessToken}",\n  apiBaseURL: "${origin}", dataApiBaseURL: "${origin}", managerBaseURL: "${origin}" });`,
    "curl": `curl -X POST ${origin}/v2/bot/message/broadcast -H "Authorization: Bearer ${channel.accessToken}" \\\n  -H "Content-Type: application/json" -d '{"messages":[{"type":"text","text":"こんにちは"}]}'`,
  };
  const node = make("div", "stack");
  node.append(make("h3", "", "SDKをここに向けるには"));
  Object.entries(codes).forEach(([name, code]) => {
    const one = make("div", "snippet");
    const head = make("div", "snippethead");
    head.append(make("span", "", name), copyButton(code, `${name}の例をコピー`));
    one.append(head, make("pre", "", code));
    node.append(one);
  });
  return node;
}

function newAccount() {
  const node = make("details", "account new");
  node.dataset.id = "new";
  node.append(make("summary", "", "＋ 公式アカウントを増やす"));
  const form = make("form", "stack");
  form.append(
    field({ label: "アカウント名", name: "name", required: true, maxLength: 40 }),
    field({ label: "Webhook URL（あとでも可）", name: "url", type: "url", placeholder: "http://127.0.0.1:8000/webhook", maxLength: 500 }),
    make("button", "main", "作成する"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = new FormData(form);
    const url = String(values.get("url")).trim();
    document.activeElement.blur();
    act(() => call("POST", "/_sim/channels", { name: String(values.get("name")).trim(), ...(url ? { webhookUrl: url } : {}) }));
  });
  node.append(form);
  return node;
}
