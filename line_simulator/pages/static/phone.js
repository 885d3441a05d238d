// The page: several phones, the log of webhooks, and an in-page browser. Talks only to /_sim/.
"use strict";

const { make } = Bubbles;
const byId = (id) => document.getElementById(id);
const POLL_MS = 800;
const STATES = { waiting: "待機中", delivered: "成功", failed: "失敗", lost: "消失（障害設定）", not_sent: "送信先なし" };
const FRIENDSHIPS = { friend: "友だち", blocked: "ブロック中", none: "友だちではありません" };

const phones = new Map();
let people = [];
let channels = [];
let version = "";

async function call(method, path, body) {
  const answer = await fetch(path, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body ? JSON.stringify(body) : undefined });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.message || String(answer.status));
  return content;
}

function notice(text) {
  const node = byId("notice");
  node.textContent = text;
  node.hidden = !text;
}

async function act(work) {
  try {
    notice("");
    await work();
  } catch (error) {
    notice(`操作できませんでした。${error.message}`);
  }
  await refresh(true);
}

const channelId = () => byId("channel").value;
const verb = (person, name, body) => call("POST", `/_sim/people/${encodeURIComponent(person)}/${name}`, { channel: channelId(), ...body });

function openBrowser(person, url) {
  // The account link dialog asks this cookie whose phone it is on.
  document.cookie = `linesim_person=${encodeURIComponent(person)}; path=/; SameSite=Lax`;
  byId("address").textContent = url;
  byId("outside").href = url;
  byId("frame").src = url;
  byId("browser").showModal();
}

function pickTime(action) {
  const initial = action.initial || { date: "2026-01-01", time: "12:00", datetime: "2026-01-01T12:00" }[action.mode] || "";
  const value = window.prompt("日時を入力してください", initial.replace("t", "T"));
  return value ? { [action.mode]: value } : null;
}

async function tap(person, action) {
  if (action.type === "uri") {
    const uri = String(action.uri || "");
    if (/^https?:\/\//.test(uri)) return openBrowser(person, uri);
    return notice(`スマートフォンでは ${uri} が開きます。`);
  }
  if (action.type === "message") return act(() => verb(person, "say", { text: action.text }));
  if (action.type === "clipboard") return act(() => navigator.clipboard.writeText(String(action.clipboardText)));
  if (action.type === "postback") {
    return act(async () => {
      if (action.text) await verb(person, "say", { text: action.text });
      await verb(person, "postback", { data: action.data, displayText: action.displayText });
    });
  }
  if (action.type === "datetimepicker") {
    const params = pickTime(action);
    if (params) return act(() => verb(person, "postback", { data: action.data, params }));
    return undefined;
  }
  if (action.type === "location") {
    return act(() => verb(person, "say", { message: { type: "location", title: "現在地", address: "東京都千代田区丸の内1丁目", latitude: 35.681236, longitude: 139.767125 } }));
  }
  if (action.type === "camera" || action.type === "cameraRoll") return chooseImage(person);
  return undefined;
}

function chooseImage(person) {
  const input = make("input");
  input.type = "file";
  input.accept = "image/png,image/jpeg";
  input.addEventListener("change", async () => {
    const file = input.files[0];
    if (!file) return;
    const bytes = new Uint8Array(await file.arrayBuffer());
    let binary = "";
    bytes.forEach((byte) => { binary += String.fromCharCode(byte); });
    act(() => verb(person, "say", { message: { type: "image", contentType: file.type }, data: btoa(binary) }));
  });
  input.click();
}

function control(label, work) {
  const node = make("button", "", label);
  node.type = "button";
  node.addEventListener("click", work);
  return node;
}

function addPhone(person) {
  if (phones.has(person.id)) return;
  const root = make("article", "phone");
  const head = make("header");
  const title = make("strong", "", person.name);
  const status = make("small");
  title.append(status);
  const buttons = {
    follow: control("友だち追加", () => act(() => verb(person.id, "follow"))),
    block: control("ブロック", () => act(() => verb(person.id, "block"))),
    unblock: control("ブロック解除", () => act(() => verb(person.id, "unblock"))),
  };
  head.append(title, ...Object.values(buttons), control("×", () => { phones.delete(person.id); root.remove(); remember(); }));
  head.lastChild.setAttribute("aria-label", "閉じる");
  const chat = make("div", "chat");
  chat.setAttribute("aria-live", "polite");
  chat.addEventListener("played", (event) => act(() => verb(person.id, "finish_video", { trackingId: event.detail })));
  const quick = make("div", "quick");
  const form = make("form", "say");
  const input = make("input");
  input.setAttribute("aria-label", "メッセージ");
  input.placeholder = "メッセージを入力";
  input.maxLength = 5000;
  const picture = control("画像", () => chooseImage(person.id));
  picture.setAttribute("aria-label", "画像を送る");
  const send = make("button", "", "送信");
  form.append(picture, input, send);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = input.value;
    if (!text) return;
    input.value = "";
    act(() => verb(person.id, "say", { text }));
  });
  root.append(head, chat, quick, form);
  byId("phones").append(root);
  phones.set(person.id, { person, chat, quick, status, buttons, inputs: [input, send, picture], drawn: "" });
  remember();
}

function remember() {
  localStorage.setItem("linesim-phones", JSON.stringify([...phones.keys()]));
}

function drawChat(phone, content) {
  const raw = byId("raw").checked;
  const mark = JSON.stringify([content, raw, channelId()]);
  if (mark === phone.drawn) return;
  phone.drawn = mark;
  const account = channels.find((one) => one.id === channelId());
  phone.status.textContent = `${account ? account.name : ""}（${FRIENDSHIPS[content.status]}）`;
  phone.status.title = content.userId;
  phone.buttons.follow.hidden = content.status !== "none";
  phone.buttons.block.hidden = content.status === "blocked";
  phone.buttons.unblock.hidden = content.status !== "blocked";
  phone.inputs.forEach((one) => { one.disabled = content.status === "blocked"; });
  const nodes = content.lines.map((line) => drawLine(phone, line, raw));
  if (content.status === "blocked") nodes.push(make("div", "state", "この公式アカウントをブロックしています"));
  phone.chat.replaceChildren(...nodes);
  phone.chat.scrollTop = phone.chat.scrollHeight;
  drawQuick(phone, content.status === "blocked" ? undefined : content.lines[content.lines.length - 1]);
}

function drawLine(phone, line, raw) {
  const node = make("div", line.from === "person" ? "line mine" : "line");
  const message = line.message;
  if (message.sender && message.sender.name) node.append(make("span", "sender", message.sender.name));
  node.append(Bubbles.draw(message, (action) => tap(phone.person.id, action)));
  const at = typeof line.at === "number" ? new Date(line.at * 1000) : new Date(line.at);
  node.append(make("time", "", `${at.toLocaleString("ja-JP", { timeZone: "Asia/Tokyo", month: "numeric", day: "numeric", hour: "2-digit", minute: "2-digit" })}${line.via ? ` ・ ${line.via}` : ""}`));
  if (raw) {
    const details = make("details", "json");
    details.open = true;
    details.append(make("summary", "", "JSON"), make("pre", "", JSON.stringify(message, null, 1)));
    node.append(details);
  }
  return node;
}

function drawQuick(phone, line) {
  const items = line && line.from === "account" && line.message.quickReply ? line.message.quickReply.items || [] : [];
  phone.quick.replaceChildren(...items.map((item) => {
    const node = control("", () => tap(phone.person.id, item.action || {}));
    if (item.imageUrl) node.append(Bubbles.image(item.imageUrl, "", ""));
    node.append(make("span", "", (item.action || {}).label || ""));
    return node;
  }));
}

function drawHooks(hooks) {
  byId("hooks").replaceChildren(...hooks.slice().reverse().map((hook) => {
    const row = make("tr");
    const events = make("td", "wide");
    const details = make("details");
    details.append(make("summary", "", hook.events.join(", ") || "（接続確認）"), make("pre", "", pretty(hook.body)));
    events.append(details);
    const state = make("td", hook.state === "failed" ? "bad" : "", (STATES[hook.state] || hook.state) + (hook.fault ? ` ／ ${hook.fault}` : ""));
    const again = make("td");
    again.append(control("もう一度送る", () => act(() => call("POST", `/_sim/webhooks/${hook.id}/replay`))));
    row.append(make("td", "", hook.id), events, state, make("td", hook.reason && hook.reason !== "OK" ? "bad" : "", hook.status || hook.reason || "—"),
      make("td", "", hook.latencyMs === null ? "—" : `${hook.latencyMs} ms`), make("td", "", hook.attempts.length), again);
    return row;
  }));
}

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 1);
  } catch {
    return body;
  }
}

function fill(select, items) {
  const chosen = select.value;
  select.replaceChildren(...items.map((one) => { const option = make("option", "", one.name); option.value = one.id; return option; }));
  if (items.some((one) => one.id === chosen)) select.value = chosen;
}

async function refresh(force) {
  const seen = (await call("GET", "/_sim/version")).version;
  if (!force && seen === version) return;
  version = seen;
  channels = (await call("GET", "/_sim/channels")).channels;
  people = (await call("GET", "/_sim/people?limit=500")).people;
  fill(byId("channel"), channels);
  fill(byId("people"), people);
  if (!channels.length) {
    notice("公式アカウントがまだありません。POST /_sim/channels で作成してください。");
    return;
  }
  for (const phone of phones.values()) {
    const query = new URLSearchParams({ channel: channelId(), person: phone.person.id });
    drawChat(phone, await call("GET", `/_sim/chats?${query}`));
  }
  drawHooks((await call("GET", `/_sim/webhooks?limit=40&channel=${encodeURIComponent(channelId())}`)).webhooks);
}

async function tick() {
  try {
    await refresh(false);
    const clock = await call("GET", "/_sim/clock");
    byId("now").textContent = new Date(clock.now).toLocaleString("ja-JP", { timeZone: "Asia/Tokyo" });
  } catch {
    notice("模擬環境に接続できません。");
    version = "";
  }
  setTimeout(tick, POLL_MS);
}

async function begin() {
  byId("show").addEventListener("click", () => {
    const person = people.find((one) => one.id === byId("people").value);
    if (person) { addPhone(person); refresh(true); }
  });
  byId("channel").addEventListener("change", () => refresh(true));
  byId("raw").addEventListener("change", () => refresh(true));
  byId("close").addEventListener("click", () => { byId("browser").close(); byId("frame").src = "about:blank"; refresh(true); });
  byId("new-person").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = byId("name").value.trim();
    if (!name) return;
    byId("name").value = "";
    act(async () => addPhone(await call("POST", "/_sim/people", { name })));
  });
  document.querySelectorAll("[data-advance]").forEach((one) => one.addEventListener("click", () => act(() => call("POST", "/_sim/clock", { advance: one.dataset.advance }))));
  try {
    await refresh(true);
    const wanted = JSON.parse(localStorage.getItem("linesim-phones") || "[]");
    const shown = people.filter((one) => wanted.includes(one.id));
    (shown.length ? shown : people.slice(0, 3)).forEach(addPhone);
    await refresh(true);
  } catch (error) {
    notice(error.message);
  }
  tick();
}

begin();
