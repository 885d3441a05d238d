// The lines of a chat: dates, bubbles with their time, read marks, raw JSON, loading dots.
import { avatar, button, make } from "./dom.js";
import { shrinkTexts } from "./flex.js";
import { drawMessage } from "./messages.js";
import { store } from "./store.js";
import { day, dayKey, hourMinute, instant } from "./times.js";

const WIDE = ["flex", "template", "imagemap"];

/** Draws into `holder`, keeping what has not changed, so that opened JSON and swiped carousels stay as they are. */
export class Lines {
  constructor(holder, makeContext) {
    this.holder = holder;
    this.makeContext = makeContext;
    this.kept = new Map();
  }

  /** Show the lines of a chat. content: as /_sim/chats answers; account: the channel. */
  draw(content, account, now) {
    const nodes = [];
    const marks = new Map();
    let before = null;
    const keep = (key, mark, work) => {
      const known = this.kept.get(key);
      const node = known && known.mark === mark ? known.node : work();
      marks.set(key, { mark, node });
      nodes.push(node);
    };
    content.lines.forEach((line) => {
      const at = instant(line.at);
      const key = dayKey(at);
      if (!before || dayKey(before.at) !== key) keep(`day-${key}`, day(at, now), () => make("div", "day", day(at, now)));
      const isFirst = !before || speaker(before.line) !== speaker(line) || dayKey(before.at) !== key || at - before.at > 60000;
      keep(`${line.from}-${line.id}`, JSON.stringify([line, isFirst, account.name]), () => this.line(line, at, isFirst, account));
      before = { line, at };
    });
    if (content.loading > 0) keep("loading", "", () => dots(account));
    this.kept = marks;
    patch(this.holder, nodes);
    shrinkTexts(this.holder);
  }

  line(line, at, isFirst, account) {
    const { message } = line;
    if (line.from === "note") return make("div", "day note", `${line.names.join("、")}が${line.kind === "joined" ? "参加" : "退会"}しました`);
    const isMine = isOwn(line);
    if (message.type === "unsent") return make("div", "day", `${isMine ? "" : `${line.name}が`}メッセージの送信を取り消しました`);
    const node = make("div", `line ${isMine ? "mine" : "theirs"}${isFirst ? " first" : ""}${WIDE.includes(message.type) ? " wide" : ""}${isFull(message) ? " full" : ""}`);
    node.dataset.id = line.id;
    const sender = message.sender || {};
    const name = sender.name || line.name;
    if (!isMine) node.append(isFirst ? this.face(line, name || account.name, sender.iconUrl || line.pictureUrl || (line.name ? "" : account.pictureUrl)) : make("span", "avatar none"));
    const stack = make("div", "pile");
    if (!isMine && isFirst && name) stack.append(make("span", "sender", name));
    // LINE marks messages that came by phone number (documentation, Overview of LINE notification messages).
    if (!isMine && isFirst && String(line.via).startsWith("pnp")) stack.append(make("span", "sender", "重要なお知らせ"));
    const body = make("div", "said");
    body.append(drawMessage(message, this.makeContext(line)));
    const raw = make("pre", "json", JSON.stringify(message, null, 1));
    const details = [line.via, line.requestId ? `requestId ${line.requestId}` : "", line.retryKey ? `retryKey ${line.retryKey}` : ""].filter(Boolean).join("  ");
    if (details) raw.prepend(`// id ${line.id}  ${details}\n`);
    raw.hidden = true;
    const meta = make("div", "meta");
    const braces = button({ text: "{ }", label: "このメッセージのJSON", className: "braces", work: () => {
      raw.hidden = !raw.hidden;
      braces.setAttribute("aria-expanded", String(!raw.hidden));
    } });
    braces.setAttribute("aria-expanded", "false");
    if (isMine && (line.read || line.readers)) meta.append(make("span", "read", `既読${line.readers ? ` ${line.readers}` : ""}`));
    if (line.edits) meta.append(make("span", "", "編集済み"));
    meta.append(make("time", "", hourMinute(at)), braces);
    // The text that a postback shows is no message: the bot never saw it, so nothing can be taken back.
    if (isMine && !line.note) meta.append(button({ text: "取消", label: "このメッセージの送信を取り消す", className: "braces", work: () => this.makeContext(line).unsend() }));
    meta.querySelector("time").dateTime = at.toISOString();
    body.append(meta);
    stack.append(body, raw);
    node.append(stack);
    return node;
  }

  face(line, name, url) {
    const node = avatar(name, url);
    node.classList.add("tappable");
    node.addEventListener("click", () => this.makeContext(line).face());
    return node;
  }
}

/** In a group other people speak too. */
function isOwn(line) {
  return line.mine === undefined ? line.from === "person" : line.mine;
}

function speaker(line) {
  if (line.from !== "account") return `${line.from} ${line.person || ""}`;
  const sender = line.message.sender || {};
  return `account ${line.name || ""} ${sender.name || ""} ${sender.iconUrl || ""}`;
}

/** A giga bubble is as wide as the screen, so nothing stands beside it. */
function isFull(message) {
  const inner = message.contents || {};
  return message.type === "flex" && inner.type === "bubble" && inner.size === "giga";
}

function dots(account) {
  const node = make("div", "line theirs first loading");
  const bubble = make("div", "text dots");
  bubble.append(make("i"), make("i"), make("i"));
  bubble.setAttribute("role", "status");
  bubble.setAttribute("aria-label", "入力中");
  node.append(avatar(account.name, account.pictureUrl), bubble);
  return node;
}

/** Make the children of `holder` be exactly `nodes`, moving only what has to move. */
function patch(holder, nodes) {
  nodes.forEach((node, index) => {
    if (holder.children[index] !== node) holder.insertBefore(node, holder.children[index] || null);
  });
  while (holder.children.length > nodes.length) holder.lastChild.remove();
}

/** Show or hide the JSON of every bubble on the page. */
export function showAllJson(isOn) {
  store.showJson = isOn;
  document.body.classList.toggle("all-json", isOn);
}
