// One person's phone: the list of chats, or one chat, with an account or in a group.
import { call, path } from "./api.js";
import { Chat } from "./chat.js";
import { avatar, button, make } from "./dom.js";
import { isGroup } from "./group_api.js";
import { GroupChat } from "./group_chat.js";
import { showNewGroup } from "./group_sheets.js";
import { summary } from "./messages.js";
import { Overlays } from "./overlays.js";
import { channelOf, now, personOf, store } from "./store.js";
import { brief, hourMinute, instant } from "./times.js";

/** The phone of a person; place: the id of the account or group to begin in. changed: called when another chat is opened; closed: when the phone is put away. */
export class Phone {
  constructor(person, place, { changed, closed }) {
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
    const channel = place && channelOf(place);
    if (channel) this.open(channel);
    else if (isGroup(place)) this.openGroup(place);
  }

  get place() {
    return this.chat ? this.chat.place : "";
  }

  open(channel) {
    return this.enter(new Chat(this.person, channel, this.over, () => this.leave()));
  }

  openGroup(id) {
    const chat = new GroupChat(this.person, id, this.over, () => this.leave());
    chat.talkTo = () => this.open(chat.account);
    return this.enter(chat);
  }

  enter(chat) {
    if (this.chat) this.chat.end();
    this.over.clear();
    this.chat = chat;
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
    const { talks, groups } = await call("GET", path("/_sim/talks", { person: this.person.id }));
    groups.forEach((one) => { store.groups[one.group] = one.name; });
    if (this.chat) this.countOthers([...talks.filter((one) => one.status === "friend"), ...groups]);
    else this.drawList(talks, groups);
  }

  countOthers(talks) {
    const count = talks.filter((one) => (one.channel || one.group) !== this.place).reduce((sum, one) => sum + one.unread, 0);
    this.chat.others.textContent = count ? String(count) : "";
  }

  drawList(talks, groups) {
    const mark = JSON.stringify([talks, groups, now().toDateString()]);
    if (mark === this.listMark) return;
    this.listMark = mark;
    const node = make("section", "talks");
    node.setAttribute("aria-label", "トーク一覧");
    const head = make("header", "head");
    head.append(make("h2", "", "トーク"), button({ icon: "group", label: "グループを作成", className: "tool", work: () => showNewGroup(this, (id) => this.openGroup(id)) }));
    const known = [...talks.filter((one) => one.status !== "none" || one.last), ...groups].sort((a, b) => b.at - a.at);
    const strangers = talks.filter((one) => !known.includes(one));
    node.append(head, ...known.map((one) => this.row(one)));
    if (strangers.length) node.append(make("h3", "", "友だちになれる公式アカウント"), ...strangers.map((one) => this.row(one)));
    if (!talks.length && !groups.length) node.append(make("p", "empty", "公式アカウントはまだありません。"));
    this.room.replaceChildren(node);
  }

  row(talk) {
    const channel = talk.group ? talk : channelOf(talk.channel);
    const node = make("div", "talk");
    const open = make("button", "open");
    open.type = "button";
    const name = make("strong", "", talk.group ? `${talk.name} (${talk.count})` : channel ? channel.name : talk.channel);
    const words = talk.status === "blocked" ? "ブロック中" : talk.last ? `${talk.by ? `${talk.by}: ` : ""}${summary(talk.last)}` : talk.group ? "グループ" : "公式アカウント";
    const text = make("span", "words");
    text.append(name, make("small", "", words));
    const side = make("span", "side");
    if (talk.at) side.append(make("time", "", brief(instant(talk.at), now())));
    if (talk.unread && (talk.group || talk.status === "friend")) side.append(make("b", "badge", talk.unread > 99 ? "99+" : talk.unread));
    open.append(avatar(channel && channel.name, channel && channel.pictureUrl, "avatar large"), text, side);
    open.addEventListener("click", () => { if (talk.group) this.openGroup(talk.group); else if (channel) this.open(channel); });
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
