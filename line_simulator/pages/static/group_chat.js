// A group chat or room on one phone: faces and names of the others, mentions, and the account that takes part.
import { call, path } from "./api.js";
import { Chat } from "./chat.js";
import { avatar, button, make } from "./dom.js";
import { groupVerb, mentionsIn } from "./group_api.js";
import { showMembers } from "./group_sheets.js";
import { act } from "./store.js";

const GONE = [404, 409];

/** A chat of `person` in the group of this id. over, leave: as for Chat. */
export class GroupChat extends Chat {
  constructor(person, id, over, leave) {
    super(person, { id, name: "グループ", pictureUrl: "" }, over, leave);
    this.content = { ...this.content, status: "friend", members: [], account: null, count: 0 };
    this.choices = make("div", "mentions");
    this.choices.setAttribute("role", "group");
    this.choices.setAttribute("aria-label", "メンションする相手");
    this.choices.hidden = true;
    this.form.before(this.choices);
    this.input.addEventListener("input", () => this.drawChoices());
    this.input.addEventListener("click", () => this.drawChoices());
  }

  get account() {
    return this.content.account || { id: "", name: "" };
  }

  /** Do something in the group and show what came of it. */
  inGroup(name, body = {}) {
    return act(() => groupVerb(this.channel.id, name, body), this.complain);
  }

  say(body) {
    const mention = body.text ? mentionsIn(body.text, this.candidates()) : [];
    this.choices.hidden = true;
    return this.inGroup("say", { person: this.person.id, ...body, ...(mention.length ? { mention } : {}) });
  }

  tapped(action, line, params) {
    return groupVerb(this.channel.id, "tap", { person: this.person.id, action, ...(params ? { params } : {}) });
  }

  unsend(line) {
    return this.inGroup("unsend", { person: this.person.id, messageId: line.id });
  }

  // LINE tells nothing about videos that are played in groups.
  watch(part, line, tap) {
    this.over.watch(part, { tap, ended: () => {}, progress: () => {} });
  }

  face(line) {
    if (line.from === "account") this.showProfile();
    else showMembers(this);
  }

  showOptions() {
    showMembers(this);
  }

  showTitle() {
    showMembers(this);
  }

  async refresh() {
    const query = { group: this.channel.id, person: this.person.id };
    let content;
    try {
      content = await call("GET", path("/_sim/chats", query));
    } catch (error) {
      if (!GONE.includes(error.status)) throw error;
      return this.leave();
    }
    if (content.unread && !document.hidden) groupVerb(this.channel.id, "read", { person: this.person.id }).catch(() => {});
    content.lines.forEach((line) => { line.mine = line.from === "person" && line.person === this.person.id; });
    this.content = content;
    this.channel = { id: content.group, name: content.name, pictureUrl: content.pictureUrl };
    this.drawMenu(null);
    this.draw();
  }

  draw() {
    super.draw();
    this.node.setAttribute("aria-label", `${this.channel.name}のトーク`);
    this.name.firstChild.textContent = `${this.channel.name} (${this.content.count})`;
  }

  /** Whom this person can mention: the account, the others, everybody. */
  candidates() {
    const { account, members } = this.content;
    const others = members.filter((one) => one.id !== this.person.id).map((one) => ({ ...one, key: one.id }));
    return [...(account ? [{ ...account, key: account.name }] : []), ...others, { name: "All", key: "all" }];
  }

  drawChoices() {
    const { value, selectionStart } = this.input;
    const begun = /[@＠]([^@＠\n]{0,20})$/.exec(value.slice(0, selectionStart));
    const found = begun ? this.candidates().filter((one) => one.name.toLowerCase().startsWith(begun[1].toLowerCase())) : [];
    this.choices.hidden = !found.length;
    this.choices.replaceChildren(...found.slice(0, 12).map((one) => {
      const node = button({ label: `${one.name}をメンション`, work: () => this.mention(one, begun.index, selectionStart) });
      node.append(avatar(one.name, one.pictureUrl, "avatar small"), make("span", "", one.name));
      return node;
    }));
  }

  mention(one, from, to) {
    const { value } = this.input;
    const before = `${value.slice(0, from)}@${one.name} `;
    this.input.value = before + value.slice(to);
    this.choices.hidden = true;
    this.input.focus({ preventScroll: true });
    this.input.setSelectionRange(before.length, before.length);
  }
}
