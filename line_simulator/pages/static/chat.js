// One chat on one phone: header, lines, quick replies, rich menu, the place to write.
import { ask, call, path, verb } from "./api.js";
import { perform } from "./actions.js";
import { button, icon, make } from "./dom.js";
import { Lines } from "./lines.js";
import { drawMenu } from "./menu.js";
import { couponOf, known, showCoupon, showProfile } from "./profile.js";
import { drawQuick } from "./quick.js";
import { showAttachments, sendSticker } from "./sending.js";
import { act, now, store } from "./store.js";

/** A chat of `person` with `channel`. over: the phone's overlays; leave: go back to the list of chats. */
export class Chat {
  constructor(person, channel, over, leave) {
    Object.assign(this, { person, channel, over, leave, now });
    this.content = { status: "none", lines: [], unread: 0, loading: 0 };
    this.menu = null;
    this.menuMark = null;
    this.isMenuOpen = false;
    this.hasEntered = false;
    this.quickDone = "";
    this.isAtEnd = true;
    this.node = this.build();
  }

  complain = (text) => this.over.say(text);

  /** What this chat is known by, to be opened again. */
  get place() {
    return this.channel.id;
  }

  /** The official account in this chat. */
  get account() {
    return this.channel;
  }

  do(name, body) {
    return this.toAccount(this.channel, name, body);
  }

  /** Let the person do something to an account. */
  toAccount(account, name, body) {
    return act(() => verb(this.person.id, account.id, name, body), this.complain);
  }

  /** Send {"text"} or {"message", "data"}. */
  say(body) {
    return this.do("say", body);
  }

  /** Tell the simulator that an action of a message was tapped. */
  tapped(action, line, params) {
    return verb(this.person.id, this.channel.id, "tap", { action, messageId: line.id, ...(params ? { params } : {}) });
  }

  unsend(line) {
    return this.do("unsend", { messageId: line.id });
  }

  /** The face beside a bubble was tapped. */
  face() {
    this.showProfile();
  }

  showProfile() {
    showProfile(this, known(this.account));
  }

  showTitle() {
    this.showProfile();
  }

  /** Go to the chat with the account; here it is open. */
  talkTo() {}

  build() {
    const node = make("section", "chat");
    node.setAttribute("aria-label", `${this.channel.name}とのトーク`);
    this.title = make("h2");
    this.name = button({ text: this.channel.name, className: "name", work: () => this.showTitle() });
    this.name.title = "プロフィール・メンバーを表示";
    this.title.append(this.name);
    this.others = make("span", "count");
    const back = button({ icon: "back", label: "トーク一覧へ", className: "tool back", work: this.leave });
    back.append(this.others);
    const head = make("header", "head");
    head.append(back, this.title, button({ icon: "more", label: "トークのメニュー", className: "tool", work: () => this.showOptions() }));
    this.banner = make("div", "banner");
    this.scroll = make("div", "scroll");
    this.scroll.tabIndex = 0;
    this.scroll.setAttribute("role", "log");
    this.scroll.setAttribute("aria-label", "メッセージ");
    const list = make("div", "lines");
    this.scroll.append(list);
    this.lines = new Lines(list, (line) => this.context(line));
    this.scroll.addEventListener("scroll", () => {
      this.isAtEnd = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 60;
    });
    // Pictures arrive late and change heights; whoever reads the end goes on reading the end.
    this.watcher = new ResizeObserver(() => this.settle());
    this.watcher.observe(list);
    this.watcher.observe(this.scroll);
    this.quick = make("div", "quick");
    this.quick.setAttribute("aria-label", "クイックリプライ");
    this.menuHolder = make("div", "menuholder");
    this.foot = make("footer", "foot");
    node.append(head, this.banner, this.scroll, this.quick, this.writing(), this.menuHolder, this.foot);
    return node;
  }

  writing() {
    const form = make("form", "say");
    this.input = make("textarea");
    this.input.rows = 1;
    this.input.placeholder = "メッセージを入力";
    this.input.setAttribute("aria-label", "メッセージを入力");
    this.input.maxLength = 5000;
    this.toMenu = button({ icon: "menu", label: "メニューを表示", className: "tool", work: () => this.setMenu(true, true) });
    form.append(
      this.toMenu,
      button({ icon: "plus", label: "写真・位置情報などを送る", className: "tool", work: () => showAttachments(this) }),
      this.input,
      button({ icon: "face", label: "スタンプを送る", className: "tool", work: () => sendSticker(this) }),
    );
    const send = make("button", "tool send");
    send.setAttribute("aria-label", "送信");
    send.append(icon("send"));
    form.append(send);
    const say = () => {
      const text = this.input.value;
      if (!text.trim()) return;
      this.input.value = "";
      this.input.style.height = "";
      this.isAtEnd = true;
      this.say({ text });
    };
    form.addEventListener("submit", (event) => { event.preventDefault(); say(); });
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); say(); }
    });
    this.input.addEventListener("input", () => {
      this.input.style.height = "auto";
      this.input.style.height = `${Math.min(this.input.scrollHeight, 96)}px`;
    });
    this.form = form;
    return form;
  }

  /** Return what a message needs to be drawn and tapped. */
  context(line) {
    const tap = (action, sent = () => {}) => {
      if (this.content.status === "blocked") return this.over.say("ブロック中のため操作できません。");
      return perform(this, action, (params) => { sent(); return this.tapped(action, line, params); });
    };
    return {
      tap, id: line.id, mine: line.from === "person", names: store.names,
      open: (url) => tap({ type: "uri", uri: url }),
      view: (url) => this.over.view(url),
      say: this.complain,
      unsend: () => this.unsend(line),
      face: () => this.face(line),
      aboutCoupon: (couponId) => couponOf(this.account, couponId),
      coupon: (couponId) => showCoupon(this, this.account, couponId),
      watch: (part) => this.watch(part, line, tap),
    };
  }

  watch(part, line, tap) {
    this.over.watch(part, {
      tap,
      ended: () => { if (part.trackingId) this.do("finish_video", { trackingId: part.trackingId }); },
      progress: (percent) => {
        // finish_video has counted a full play of a video with a trackingId already.
        if (percent > 0 && !(percent === 100 && part.trackingId)) this.do("play", { messageId: line.id, percent });
      },
    });
  }

  /** Load and draw. */
  async refresh() {
    const query = { channel: this.channel.id, person: this.person.id };
    const entering = !this.hasEntered && !document.hidden;
    if (entering) {
      this.hasEntered = true;
      await call("POST", `/_sim/people/${encodeURIComponent(this.person.id)}/look`, { channel: this.channel.id });
    }
    const [content, menu] = await Promise.all([call("GET", path("/_sim/chats", query)), ask(path("/_sim/menu", query), { menu: null })]);
    if (content.unread && !document.hidden) verb(this.person.id, this.channel.id, "read").catch(() => {});
    this.content = content;
    this.drawMenu(menu.menu);
    this.draw();
    clearTimeout(this.dotsEnd);
    if (content.loading > 0) this.dotsEnd = setTimeout(() => this.refresh().catch(() => {}), Math.min(content.loading * 1000 + 50, 61000));
  }

  draw() {
    const { content } = this;
    this.name.firstChild.textContent = this.channel.name;
    this.lines.draw(content, this.channel, now());
    this.settle();
    this.drawBanner();
    drawQuick(this);
    const isBlocked = content.status === "blocked";
    this.form.querySelectorAll("button, textarea").forEach((one) => { one.disabled = isBlocked; });
    this.input.placeholder = isBlocked ? "ブロック中です" : "メッセージを入力";
  }

  settle() {
    if (this.isAtEnd) this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  drawBanner() {
    const { status } = this.content;
    if (this.banner.dataset.status === status) return;
    this.banner.dataset.status = status;
    const follow = (text) => button({ text, icon: "person", size: 18, className: "main", work: () => this.do("follow") });
    const contents = {
      friend: [],
      none: [make("p", "", "まだ友だちではありません。"), follow("追加"), button({ text: "ブロック", work: () => this.do("block") })],
      blocked: [make("p", "", "この公式アカウントをブロックしています。"), button({ text: "ブロック解除", className: "main", work: () => this.do("unblock") })],
    }[status] || [];
    this.banner.replaceChildren(...contents);
    this.banner.hidden = !contents.length;
  }

  drawMenu(menu) {
    const mark = menu ? JSON.stringify(menu) : "";
    if (mark === this.menuMark) return;
    const isFirst = !this.menuMark;
    this.menuMark = mark;
    this.menu = menu;
    if (isFirst && menu) this.isMenuOpen = menu.selected !== false;
    this.menuHolder.replaceChildren(...(menu ? [drawMenu(this, menu)] : []));
    this.bar = menu ? button({ text: menu.chatBarText || "メニュー", className: "bartext", work: () => this.setMenu(!this.isMenuOpen, true) }) : null;
    const keyboard = button({ icon: "keyboard", label: "キーボードを表示", className: "tool", work: () => { this.setMenu(false); this.showKeyboard(); } });
    this.foot.replaceChildren(...(menu ? [keyboard, this.bar] : []));
    this.isWriting = false;
    this.showMenu();
  }

  /** Open or close the rich menu; byHand: by its bar, which counts as seeing it. */
  setMenu(isOpen, byHand = false) {
    if (!this.menu) return;
    this.isMenuOpen = isOpen;
    this.isWriting = false;
    this.showMenu();
    if (isOpen && byHand) verb(this.person.id, this.channel.id, "open_menu").catch(() => {});
  }

  showKeyboard(text) {
    this.isWriting = true;
    this.showMenu();
    if (text !== undefined) this.input.value = text;
    this.input.focus({ preventScroll: true });
  }

  showMenu() {
    const has = Boolean(this.menu);
    this.menuHolder.hidden = !has || !this.isMenuOpen;
    this.foot.hidden = !has || this.isWriting;
    this.form.hidden = has && !this.isWriting;
    this.toMenu.hidden = !has;
    if (this.bar) {
      this.bar.setAttribute("aria-expanded", String(this.isMenuOpen));
      this.bar.querySelectorAll("svg").forEach((one) => one.remove());
      this.bar.append(icon(this.isMenuOpen ? "down" : "up", 16));
    }
    this.settle();
  }

  /** Do what the inputOption of a postback asks for. */
  listenTo(action) {
    if (action.inputOption === "openRichMenu") this.setMenu(true);
    if (action.inputOption === "closeRichMenu") this.setMenu(false);
    if (action.inputOption === "openKeyboard") this.showKeyboard(action.fillInText || "");
    if (action.inputOption === "openVoice") this.over.say("ボイスメッセージの録音が開きます。");
  }

  showOptions() {
    const list = make("div", "choices options");
    let close = () => {};
    const add = (text, work) => list.append(button({ text, work: () => { close(); work(); } }));
    const { status } = this.content;
    if (status === "none") add("友だち追加", () => this.do("follow"));
    if (status === "blocked") add("ブロック解除", () => this.do("unblock"));
    else add("ブロック", () => this.do("block"));
    add("プロフィール", () => this.showProfile());
    add("トーク一覧へ", this.leave);
    close = this.over.sheet(this.channel.name, list);
  }

  /** Stop watching. */
  end() {
    clearTimeout(this.dotsEnd);
    this.watcher.disconnect();
  }
}
