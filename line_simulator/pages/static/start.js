// The first visit: three steps until a bot and a person talk.
import { call } from "./api.js";
import { field, make, button } from "./dom.js";
import { act, load, store } from "./store.js";

const NAMES = ["佐藤 花子", "鈴木 太郎", "高橋 さくら"];

/** Draw the steps into `holder`, at the one that comes next. */
export function drawStart(holder, { addPhone }) {
  const step = store.channels.length ? 2 : 1;
  const before = holder.querySelector(".start");
  if (before && before.dataset.step === String(step)) return;
  if (before) before.remove();
  const node = make("section", "start");
  node.dataset.step = String(step);
  node.append(make("h2", "", "はじめましょう"), make("p", "lead", "LINE公式アカウントと友だちを作って、ボットと話してみます。本物のLINEには何も送られません。"));
  const list = make("ol");
  list.append(makeAccount(step), makePeople(step, addPhone));
  const last = item(3, "友だち追加する", "スマートフォンの画面で「追加」を押すと、followイベントのWebhookがボットに届きます。", step);
  list.append(last);
  node.append(list);
  holder.append(node);
  const first = node.querySelector(".now input, .now button");
  if (first) first.focus({ preventScroll: true });
}

function item(number, title, text, step) {
  const node = make("li", number === step ? "now" : number < step ? "done" : "later");
  node.append(make("h3", "", title), make("p", "", text));
  return node;
}

function makeAccount(step) {
  const node = item(1, "公式アカウントを作る", "ボットのWebhook URLを入れてください。まだなければ空のままで始められます。", step);
  if (step !== 1) return node;
  const form = make("form");
  form.append(
    field({ label: "アカウント名", name: "name", value: "テスト商店", required: true, maxLength: 40 }),
    field({ label: "Webhook URL", name: "url", type: "url", placeholder: "http://127.0.0.1:8000/webhook", maxLength: 500 }),
    make("button", "main", "作成する"),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = new FormData(form);
    const url = String(values.get("url")).trim();
    act(() => call("POST", "/_sim/channels", { name: String(values.get("name")).trim(), ...(url ? { webhookUrl: url } : {}) }));
  });
  node.append(form);
  return node;
}

function makePeople(step, addPhone) {
  const node = item(2, "人を作る", "友だちになる人のスマートフォンを用意します。名前はあとで自由に増やせます。", step);
  if (step !== 2) return node;
  node.append(button({ text: "3人のスマートフォンを用意する", className: "main", work: () => act(async () => {
    const made = [];
    for (const name of NAMES) made.push(await call("POST", "/_sim/people", { name }));
    await load();
    made.forEach((one) => addPhone(one.id));
  }) }));
  return node;
}
