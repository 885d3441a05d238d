// What slides over a phone's screen: the in-app browser, sheets, a picture, a player, short notices.
import { button, icon, image, isWeb, make } from "./dom.js";

/** The layers of one phone. `screen` is its element, `person` its owner's id. */
export class Overlays {
  constructor(screen, person) {
    this.screen = screen;
    this.person = person;
    this.layers = [];
  }

  /** Put a layer over the screen; returns a function that takes it away. Escape takes the top one away. */
  put(node, label, closed) {
    const before = document.activeElement;
    node.setAttribute("role", "dialog");
    node.setAttribute("aria-label", label);
    node.tabIndex = -1;
    const close = () => {
      if (!node.isConnected) return;
      node.remove();
      this.layers = this.layers.filter((one) => one !== close);
      if (before && before.isConnected) before.focus({ preventScroll: true });
      if (closed) closed();
    };
    node.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { event.stopPropagation(); close(); }
    });
    this.screen.append(node);
    this.layers.push(close);
    node.focus({ preventScroll: true });
    return close;
  }

  /** Take all layers away. */
  clear() {
    [...this.layers].reverse().forEach((close) => close());
  }

  /** Say something for a moment at the foot of the screen. */
  say(text) {
    this.screen.querySelectorAll(".toast").forEach((one) => one.remove());
    const node = make("div", "toast", text);
    node.setAttribute("role", "status");
    this.screen.append(node);
    setTimeout(() => node.remove(), 3500);
  }

  /** Show a sheet from below with a title and content; returns its close function. */
  sheet(title, ...content) {
    const shade = make("div", "shade");
    const node = make("div", "sheet");
    const head = make("header");
    let close = () => {};
    head.append(make("h2", "", title), button({ icon: "close", label: "閉じる", size: 18, work: () => close() }));
    node.append(head, ...content);
    shade.append(node);
    shade.addEventListener("click", (event) => { if (event.target === shade) close(); });
    close = this.put(shade, title);
    const first = node.querySelector("input, select, .choices button");
    if (first) first.focus({ preventScroll: true });
    return close;
  }

  /** Open a web page in the in-app browser, with this person's cookie. Resolves when it is closed. */
  browse(url) {
    return new Promise((closed) => {
      const node = make("div", "inapp");
      const bar = make("header");
      const title = make("div", "title");
      const host = new URL(url).host;
      title.append(make("strong", "", host), make("small", "", url));
      const outside = make("a", "tool");
      outside.href = url;
      outside.target = "_blank";
      outside.rel = "noopener noreferrer";
      outside.title = "新しいタブで開く";
      outside.setAttribute("aria-label", outside.title);
      outside.append(icon("outside", 18));
      const frame = make("iframe");
      frame.title = `アプリ内ブラウザ: ${host}`;
      frame.referrerPolicy = "no-referrer";
      // A page may do what pages do, but not take the whole window away from the phones.
      frame.setAttribute("sandbox", "allow-scripts allow-forms allow-same-origin allow-popups allow-modals allow-downloads");
      const wheel = make("span", "wheel");
      frame.addEventListener("load", () => wheel.remove());
      const hear = (event) => { if (event.source === frame.contentWindow && event.data && event.data.linesim === "close") close(); };
      window.addEventListener("message", hear);
      const close = this.put(node, "アプリ内ブラウザ", () => { window.removeEventListener("message", hear); closed(); });
      bar.append(button({ icon: "close", label: "アプリ内ブラウザを閉じる", size: 18, className: "tool", work: () => close() }), title, outside);
      node.append(bar, wheel, frame);
      frame.src = `/_phone/open?${new URLSearchParams({ person: this.person, url })}`;
    });
  }

  /** Show a picture on the whole screen. */
  view(url) {
    const node = make("div", "viewer");
    node.append(image(url, "", "写真"));
    const close = this.put(node, "写真");
    node.append(button({ icon: "close", label: "閉じる", className: "tool", work: () => close() }));
    node.addEventListener("click", (event) => { if (event.target === node) close(); });
  }

  /**
   * Play a video or sound. part: {url, preview, sound, action}. progress(percent) is called once, when it is closed;
   * ended() when it was played to the end; tap(action) for the link shown then.
   */
  watch(part, { progress, ended, tap }) {
    const node = make("div", "viewer player");
    const media = make(part.sound ? "audio" : "video");
    let most = 0;
    let isOver = false;
    const note = make("p", "note");
    const link = part.action ? button({ text: part.action.label || "もっと見る", className: "link", work: () => { close(); tap(part.action); } }) : null;
    const finish = () => {
      most = 100;
      if (isOver) return;
      isOver = true;
      note.textContent = "最後まで再生しました";
      if (link) node.append(link);
      ended();
    };
    media.controls = true;
    media.autoplay = true;
    media.playsInline = true;
    if (part.preview && isWeb(part.preview)) media.poster = part.preview;
    media.addEventListener("timeupdate", () => { if (media.duration > 0) most = Math.max(most, Math.floor((100 * media.currentTime) / media.duration)); });
    media.addEventListener("ended", finish);
    media.addEventListener("error", () => { note.textContent = "この環境では動画を読み込めません。"; });
    const close = this.put(node, part.sound ? "音声の再生" : "動画の再生", () => { media.pause(); progress(most); });
    node.append(media, note, button({ text: "最後まで再生したことにする", className: "whole", work: finish }),
      button({ icon: "close", label: "閉じる", className: "tool", work: () => close() }));
    if (isWeb(part.url) || String(part.url).startsWith("/_phone/")) media.src = part.url;
    else note.textContent = "動画のアドレスがありません。";
  }
}
