// Statistics of an account in the drawer: what came of its messages, as bars by day.
import { call, path } from "./api.js";
import { field, make } from "./dom.js";
import { channelOf, store } from "./store.js";

const SVG = "http://www.w3.org/2000/svg";
const DAYS = 14;
const STEP = 24;
const HEIGHT = 64;
// name, unit, whether the days add up (or the last one counts), and of what it is a part.
const CHARTS = {
  sent: { name: "配信", unit: "通", adds: true, hint: "届いた人数" },
  looks: { name: "表示", unit: "回", adds: true, part: "sent", hint: "トークで初めて見られた数" },
  taps: { name: "リンクのタップ", unit: "回", adds: true, part: "looks", hint: "押された回数" },
  plays: { name: "動画・音声の再生", unit: "回", adds: true, hint: "再生された回数", isRare: true },
  friends: { name: "友だち", unit: "人", hint: "その日の終わりの人数" },
  blocked: { name: "ブロック", unit: "人", hint: "その日の終わりの人数", isBad: true },
};

export class StatisticsPanel {
  constructor() {
    this.node = make("section", "statistics");
    this.channel = "";
    this.mark = "";
    this.chooser = make("div");
    this.charts = make("div", "charts");
    this.node.append(make("p", "hint", `最近${DAYS}日間（日本時間）。LINEの統計と違い、すぐに、少人数でも表示されます。`), this.chooser, this.charts);
  }

  async refresh() {
    this.drawChooser();
    if (!this.channel) return this.charts.replaceChildren(make("p", "hint", "公式アカウントはまだありません。"));
    await this.load();
    // What the phones look at while this page is drawn comes a moment later.
    clearTimeout(this.again);
    this.again = setTimeout(() => { if (this.node.isConnected) this.load().catch(() => {}); }, 700);
  }

  async load() {
    const { days } = await call("GET", path("/_sim/statistics", { channel: this.channel, days: DAYS }));
    const mark = JSON.stringify([this.channel, days]);
    if (mark === this.mark) return;
    this.mark = mark;
    const totals = Object.fromEntries(Object.entries(CHARTS).map(([key, one]) => [key, one.adds ? sum(days, key) : days[days.length - 1][key]]));
    const shown = Object.entries(CHARTS).filter(([key, one]) => !one.isRare || totals[key]);
    this.charts.replaceChildren(...shown.map(([key, one]) => chart(key, one, days, totals)));
  }

  drawChooser() {
    const mark = JSON.stringify(store.channels.map((one) => [one.id, one.name]));
    if (!channelOf(this.channel)) this.channel = store.channels.length ? store.channels[0].id : "";
    if (mark === this.chooserMark) return;
    this.chooserMark = mark;
    if (store.channels.length < 2) return this.chooser.replaceChildren();
    const node = field({ label: "公式アカウント", name: "account", options: store.channels.map((one) => [one.id, one.name]), value: this.channel });
    node.querySelector("select").addEventListener("change", (event) => { this.channel = event.target.value; this.load().catch(() => {}); });
    this.chooser.replaceChildren(node);
  }
}

function sum(days, key) {
  return days.reduce((total, day) => total + day[key], 0);
}

const shortDate = (date) => `${Number(date.slice(5, 7))}/${Number(date.slice(8))}`;
const grouped = (number) => number.toLocaleString("ja-JP");

function chart(key, { name, unit, part, hint, isBad }, days, totals) {
  const node = make("figure", `chart${isBad ? " bad" : ""}`);
  node.dataset.key = key;
  const caption = make("figcaption");
  caption.append(make("strong", "", name), make("span", "hint", hint), make("b", "number", `${grouped(totals[key])}${unit}`));
  if (part && totals[part]) caption.append(make("span", "rate", `${Math.round((100 * totals[key]) / totals[part])}%`));
  node.append(caption, bars(name, unit, days.map((day) => [day.date, day[key]])), ends(days));
  return node;
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
  return node;
}

function bars(name, unit, values) {
  const most = Math.max(...values.map(([, value]) => value), 1);
  const svg = shape("svg", { viewBox: `0 0 ${values.length * STEP} ${HEIGHT}`, role: "img", preserveAspectRatio: "none" });
  const words = values.filter(([, value]) => value > 0).map(([date, value]) => `${shortDate(date)} ${grouped(value)}${unit}`);
  svg.setAttribute("aria-label", `${name}: ${words.join("、") || "まだありません"}`);
  values.forEach(([date, value], index) => {
    const isLast = index === values.length - 1;
    const height = value > 0 ? Math.max(3, (HEIGHT * value) / most) : 1;
    const bar = shape("rect", { x: index * STEP + 3, y: HEIGHT - height, width: STEP - 6, height, rx: 2, class: `bar${value > 0 ? "" : " none"}${isLast ? " today" : ""}` });
    const title = shape("title", {});
    title.textContent = `${shortDate(date)} ${grouped(Math.max(value, 0))}${unit}`;
    bar.append(title);
    svg.append(bar);
  });
  return svg;
}

function ends(days) {
  const node = make("div", "ends");
  node.append(make("span", "", shortDate(days[0].date)), make("span", "", `今日 ${shortDate(days[days.length - 1].date)}`));
  return node;
}
