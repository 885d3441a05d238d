// One person's phone: the list of chats, or one chat.
import { call, path } from "./api.js";
import { Chat } from "./chat.js";
import { avatar, button, make } from "./dom.js";
import { summary } from "./messages.js";
import { Overlays } from "./overlays.js";
import { channelOf, now, personOf } from "./store.js";
import { brief, hourMinute, instant } from "./times.js";

/** The phone of a person. changed: called when another chat is opened; closed: when the phone is put away. */
export class Phone {
  constructor(person, channelId, { changed, closed }) {
    Object.assign(this, { person, changed, closed });
    this.chat = null;
    this.node = make("article", "phone");
    this.node.setAttribute("aria-label", `${person.name}さんのスマートフォン`);
    this.node.dataset.person = person.id;
    const label = make("header", "owner");
    label.append(avatar(person.name, person.pictureUrl, "avatar small"), make("strong", "", person.name),
      button({ icon: "close", size: 16, label: `${person.name}さんのスマートフォンを片付ける`, className: "tool", work: closed }));
    this.screen = make("div", "screen");
    const status = make("div", "statusbar");
    this.time = make("time");
    status.append(this.time, make("span", "notch"), make("span", "battery"));
    this.room = make("div", "room");
    this.screen.append(status, this.room);
    this.node.append(label, this.screen);
    this.over = new Overlays(this.screen, person.id);
    const channel = channelId && channelOf(channelId);
    if (channel) this.open(channel);
  }

  get channelId() {
    return this.chat ? this.chat.channel.id : "";
  }

  open(channel) {
    if (this.chat) this.chat.end();
    this.over.clear();
    this.chat = new Chat(this.person, channel, this.over, () => this.leave());
    this.room.replaceChildren(this.chat.node);
    this.changed();
    return this.refresh();
  }

  leave() {
    if (this.chat) this.chat.end();
    this.over.clear();
    this.chat = null;
    this.listMark = "";
    this.changed();
    return this.refresh();
  }

  tick() {
    this.time.textContent = hourMinute(now());
  }

  async refresh() {
    this.person = personOf(this.person.id) || this.person;
    this.tick();
    const chat = this.chat;
    if (chat) {
      chat.channel = channelOf(chat.channel.id) || chat.channel;
      await chat.refresh();
    }
    const { talks } = await call("GET", path("/_sim/talks", { person: this.person.id }));
    if (this.chat) this.countOthers(talks);
    else this.drawList(talks);
  }

  countOthers(talks) {
    const count = talks.filter((one) => one.channel !== this.channelId && one.status === "friend").reduce((sum, one) => sum + one.unread, 0);
    this.chat.others.textContent = count ? String(count) : "";
  }

  drawList(talks) {
    const mark = JSON.stringify([talks, now().toDateString()]);
    if (mark === this.listMark) return;
    this.listMark = mark;
    const node = make("section", "talks");
    node.setAttribute("aria-label", "トーク一覧");
    const head = make("header", "head");
    head.append(make("h2", "", "トーク"));
    const known = talks.filter((one) => one.status !== "none" || one.last).sort((a, b) => b.at - a.at);
    const strangers = talks.filter((one) => !known.includes(one));
    node.append(head, ...known.map((one) => this.row(one)));
    if (strangers.length) node.append(make("h3", "", "友だちになれる公式アカウント"), ...strangers.map((one) => this.row(one)));
    if (!talks.length) node.append(make("p", "empty", "公式アカウントはまだありません。"));
    this.room.replaceChildren(node);
  }

  row(talk) {
    const channel = channelOf(talk.channel);
    const node = make("div", "talk");
    const open = make("button", "open");
    open.type = "button";
    const name = make("strong", "", channel ? channel.name : talk.channel);
    const words = talk.status === "blocked" ? "ブロック中" : talk.last ? summary(talk.last) : "公式アカウント";
    const text = make("span", "words");
    text.append(name, make("small", "", words));
    const side = make("span", "side");
    if (talk.at) side.append(make("time", "", brief(instant(talk.at), now())));
    if (talk.unread && talk.status === "friend") side.append(make("b", "badge", talk.unread > 99 ? "99+" : talk.unread));
    open.append(avatar(channel && channel.name, channel && channel.pictureUrl, "avatar large"), text, side);
    open.addEventListener("click", () => { if (channel) this.open(channel); });
    node.append(open);
    if (talk.status === "none") node.append(this.addButton(channel));
    return node;
  }

  addButton(channel) {
    return button({ icon: "plus", text: "追加", size: 14, label: `${channel.name}を友だち追加`, className: "add", work: async () => {
      await this.open(channel);
      await this.chat.do("follow");
    } });
  }
}
