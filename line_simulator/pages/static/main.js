// The page: phones side by side, the webhooks below, the drawer at the side.
import { call, follow } from "./api.js";
import { avatar, button, field, make } from "./dom.js";
import { Drawer } from "./drawer.js";
import { WebhookLog } from "./hooks.js";
import { showAllJson } from "./lines.js";
import { Phone } from "./phone.js";
import { drawStart } from "./start.js";
import { act, load, memory, now, personOf, store } from "./store.js";
import { full } from "./times.js";

const byId = (id) => document.getElementById(id);
const SHOWN_AT_FIRST = 3;
const phones = new Map();
const log = new WebhookLog(byId("log"));
const drawer = new Drawer(byId("drawer"));
const chips = byId("people");
let clock = null;
let isBusy = false;
let isAgain = false;

store.notice = (text) => {
  byId("notice").textContent = text;
  byId("notice").hidden = !text;
};

/** Load and draw everything; while that is under way, one more round is remembered. */
store.refresh = async () => {
  if (isBusy) {
    isAgain = true;
    return;
  }
  isBusy = true;
  try {
    do {
      isAgain = false;
      await load();
      await draw();
    } while (isAgain);
  } finally {
    isBusy = false;
  }
};

async function draw() {
  for (const id of [...phones.keys()]) if (!personOf(id)) removePhone(id);
  drawChips();
  const isEmpty = !store.channels.length || !store.people.length;
  document.body.classList.toggle("empty", isEmpty);
  if (isEmpty) drawStart(byId("phones"), { addPhone });
  else byId("phones").querySelectorAll(".start").forEach((one) => one.remove());
  await Promise.all([...[...phones.values()].map((one) => one.refresh()), log.refresh(), drawer.refresh()]);
}

function remember() {
  memory.set("phones", [...phones.values()].map((one) => ({ person: one.person.id, channel: one.place })));
}

/** Put a person's phone on the table, with a chat open if `channel` is given. */
function addPhone(id, channel) {
  const person = personOf(id);
  if (!person || phones.has(id)) return;
  const start = channel === undefined && store.channels.length === 1 ? store.channels[0].id : channel;
  const phone = new Phone(person, start, { changed: () => setTimeout(remember), closed: () => { removePhone(id); remember(); drawChips(); } });
  phones.set(id, phone);
  byId("phones").querySelectorAll(".start").forEach((one) => one.remove());
  byId("phones").append(phone.node);
  remember();
  drawChips();
  phone.refresh().catch(() => {});
}

function removePhone(id) {
  const phone = phones.get(id);
  if (!phone) return;
  if (phone.chat) phone.chat.end();
  phone.node.remove();
  phones.delete(id);
}

let chipsMark = "";

function drawChips() {
  const mark = JSON.stringify([store.people.slice(0, 13).map((one) => [one.id, one.name]), store.people.length, [...phones.keys()]]);
  if (mark === chipsMark) return;
  chipsMark = mark;
  const shown = store.people.filter((one, index) => index < 8 || phones.has(one.id)).slice(0, 12);
  const nodes = shown.map((person) => {
    const isOut = phones.has(person.id);
    const node = button({ className: `chip${isOut ? " on" : ""}`, label: isOut ? `${person.name}さんの電話を片付ける` : `${person.name}さんの電話を並べる`, work: () => {
      if (isOut) removePhone(person.id);
      else addPhone(person.id);
      remember();
      drawChips();
    } });
    node.setAttribute("aria-pressed", String(isOut));
    node.append(avatar(person.name, person.pictureUrl, "avatar small"), make("span", "", person.name));
    return node;
  });
  if (store.people.length > shown.length) nodes.push(morePeople(shown));
  nodes.push(button({ icon: "plus", text: "人を追加", size: 16, className: "chip add", work: () => askName() }));
  chips.replaceChildren(...nodes);
}

function morePeople(shown) {
  const rest = store.people.filter((one) => !shown.includes(one));
  const node = field({ label: "ほかの人", name: "more", options: [["", `ほか${rest.length}人`], ...rest.map((one) => [one.id, one.name])] });
  node.className = "chip more";
  node.querySelector("select").addEventListener("change", (event) => addPhone(event.target.value));
  return node;
}

function askName() {
  const form = make("form", "chip naming");
  const input = make("input");
  input.placeholder = "名前";
  input.setAttribute("aria-label", "新しい人の名前");
  input.maxLength = 20;
  input.required = true;
  form.append(input, make("button", "", "追加"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = input.value.trim();
    form.remove();
    chipsMark = "";
    if (name) act(async () => { const person = await call("POST", "/_sim/people", { name }); await load(); addPhone(person.id); });
    drawChips();
  });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { chipsMark = ""; drawChips(); } });
  chips.lastChild.replaceWith(form);
  input.focus();
}

function drawTools() {
  clock = button({ icon: "clock", text: "", size: 18, label: "模擬時刻", className: "tool clock", work: () => drawer.show("clock") });
  const json = button({ text: "{ }", label: "すべてのメッセージのJSONを表示", className: "tool", work: () => {
    showAllJson(!store.showJson);
    json.setAttribute("aria-pressed", String(store.showJson));
  } });
  json.setAttribute("aria-pressed", "false");
  const hooks = button({ icon: "hook", text: "Webhook", label: "Webhook", size: 18, className: "tool", work: () => hooks.setAttribute("aria-pressed", String(log.toggle())) });
  hooks.setAttribute("aria-pressed", String(log.isOpen));
  byId("tools").append(clock, json, hooks, button({ icon: "gear", text: "設定", label: "設定", size: 18, className: "tool", work: () => drawer.show("account") }));
  log.onClose = () => hooks.setAttribute("aria-pressed", "false");
}

function tick() {
  const [, text] = clock.children;
  const shown = full(now());
  if (text.textContent !== shown) text.textContent = shown;
  phones.forEach((one) => one.tick());
  setTimeout(tick, 250);
}

async function begin() {
  drawTools();
  tick();
  try {
    await load();
    const wanted = memory.get("phones", []).filter((one) => personOf(one.person));
    if (wanted.length) wanted.forEach((one) => addPhone(one.person, one.channel));
    else store.people.slice(0, SHOWN_AT_FIRST).forEach((one) => addPhone(one.id));
  } catch (error) {
    store.notice(error.message);
  }
  const trouble = "模擬環境に接続できません。動いているかどうか確かめてください。";
  document.addEventListener("visibilitychange", () => { if (!document.hidden) store.refresh().catch(() => {}); });
  follow(store.refresh, (isLost) => {
    if (isLost) store.notice(trouble);
    else if (byId("notice").textContent === trouble) store.notice("");
  });
}

// The simulator's own pages are at 127.0.0.1; on another name their cookies would not be ours.
if (window.location.hostname === "localhost") window.location.hostname = "127.0.0.1";
else begin();
