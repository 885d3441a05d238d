// The drawer at the side: accounts, statistics, time, faults.
import { call } from "./api.js";
import { AccountPanel } from "./accounts.js";
import { button, field, make } from "./dom.js";
import { FaultPanel } from "./faults.js";
import { StatisticsPanel } from "./statistics.js";
import { act, now } from "./store.js";
import { full } from "./times.js";

const TABS = { account: "公式アカウント", statistics: "統計", clock: "時刻", faults: "障害" };

export class Drawer {
  constructor(node) {
    this.node = node;
    this.tab = "account";
    this.tabs = make("div", "tabs");
    this.tabs.setAttribute("role", "tablist");
    const head = make("header");
    head.append(this.tabs, button({ icon: "close", size: 18, label: "設定を閉じる", className: "tool", work: () => this.hide() }));
    this.body = make("div", "panel");
    this.body.setAttribute("role", "tabpanel");
    node.append(head, this.body, links());
    this.accounts = new AccountPanel();
    this.panels = { account: this.accounts, statistics: new StatisticsPanel(), clock: { node: clockPanel(), refresh: async () => {} }, faults: new FaultPanel() };
    node.addEventListener("keydown", (event) => { if (event.key === "Escape") this.hide(); });
  }

  show(tab) {
    const isSame = !this.node.hidden && this.tab === tab;
    this.tab = tab;
    this.node.hidden = isSame;
    if (isSame) return;
    this.tabs.replaceChildren(...Object.entries(TABS).map(([key, text]) => {
      const one = button({ text, work: () => { if (this.tab !== key) this.show(key); } });
      one.setAttribute("role", "tab");
      one.setAttribute("aria-selected", String(key === tab));
      return one;
    }));
    this.body.setAttribute("aria-label", TABS[tab]);
    this.body.replaceChildren(this.panels[tab].node);
    this.refresh().catch(() => {});
  }

  hide() {
    this.node.hidden = true;
  }

  async refresh() {
    if (!this.node.hidden) await this.panels[this.tab].refresh();
  }
}

function links() {
  const node = make("nav", "links");
  [["/_phone/coverage", "対応しているAPI"], ["/_sim/invariants", "不変条件の検査"], ["/_sim/requests", "APIの記録"]].forEach(([href, text]) => {
    const one = make("a", "", text);
    one.href = href;
    one.target = "_blank";
    node.append(one);
  });
  return node;
}

function clockPanel() {
  const node = make("section");
  const shown = make("output", "bigtime");
  setInterval(() => { if (node.isConnected) shown.textContent = full(now()); }, 250);
  shown.textContent = full(now());
  const row = make("div", "buttons");
  [["1m", "+1分"], ["10m", "+10分"], ["1h", "+1時間"], ["1d", "+1日"], ["7d", "+7日"]].forEach(([advance, text]) => {
    row.append(button({ text, work: () => act(() => call("POST", "/_sim/clock", { advance })) }));
  });
  const speed = make("form", "inline");
  speed.append(field({ label: "速さ", name: "scale", options: [["1", "実際と同じ"], ["60", "1秒で1分"], ["3600", "1秒で1時間"]] }), make("button", "", "変える"));
  speed.addEventListener("submit", (event) => {
    event.preventDefault();
    act(() => call("POST", "/_sim/clock", { scale: Number(new FormData(speed).get("scale")) }));
  });
  node.append(make("p", "hint", "模擬環境の時刻です。進めると、トークンの期限や予約された配信などが実際より早く進みます。戻すことはできません。"), shown, row, speed);
  return node;
}
