// Which operations of LINE are simulated how far, as a table for people.
import { call } from "./api.js";
import { button, field, make } from "./dom.js";

const LEVELS = { full: "対応", partial: "一部", none: "なし" };
const EVIDENCE = { documented: "公式文書", guessed: "推測", contradicted: "矛盾" };
const COLUMNS = ["操作", "メソッドとパス", "程度", "根拠", "備考"];
const byId = (id) => document.getElementById(id);
let operations = [];
let level = "";
let words = "";

function badge(kind, text) {
  return make("span", `badge ${kind}`, text);
}

/** A path breaks before its slashes. */
function pathOf(text) {
  const node = make("code");
  text.split(/(?=\/)/).forEach((part) => node.append(make("wbr"), part));
  return node;
}

function row(one) {
  const node = make("tr");
  const where = make("td", "where");
  where.append(make("b", `method ${one.method.toLowerCase()}`, one.method), pathOf(one.path));
  const how = make("td");
  how.append(badge(one.level, LEVELS[one.level] || one.level));
  const why = make("td");
  if (one.evidence) why.append(badge(one.evidence, EVIDENCE[one.evidence] || one.evidence));
  const name = make("th", "", one.operationId);
  name.scope = "row";
  node.append(name, where, how, why, make("td", "note", one.note));
  return node;
}

function matches(one) {
  const text = `${one.operationId} ${one.method} ${one.path} ${one.note}`.toLowerCase();
  return (!level || one.level === level) && words.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function draw() {
  const found = operations.filter(matches);
  document.querySelector("tbody").replaceChildren(...found.map(row));
  byId("none").hidden = found.length > 0;
  document.querySelector(".tableholder").hidden = !found.length;
  drawLevels();
}

function drawLevels() {
  const choices = [["", "すべて"], ...Object.entries(LEVELS)];
  byId("levels").replaceChildren(...choices.map(([key, text]) => {
    const count = operations.filter((one) => !key || one.level === key).length;
    const node = button({ className: `level ${key || "all"}`, work: () => { level = key; draw(); byId("levels").querySelector("[aria-pressed=true]").focus(); } });
    node.append(make("b", "", count), make("span", "", text));
    node.setAttribute("aria-pressed", String(level === key));
    return node;
  }));
}

async function begin() {
  const search = field({ label: "検索", name: "words", type: "search", placeholder: "例: push, richmenu, GET" });
  search.querySelector("input").addEventListener("input", (event) => { words = event.target.value; draw(); });
  byId("search").append(search);
  byId("search").addEventListener("submit", (event) => event.preventDefault());
  const head = make("tr");
  COLUMNS.forEach((text) => { const one = make("th", "", text); one.scope = "col"; head.append(one); });
  document.querySelector("thead").append(head);
  ({ operations } = await call("GET", "/_sim/coverage"));
  draw();
}

begin().catch((error) => { byId("none").hidden = false; byId("none").textContent = `読み込めませんでした。${error.message}`; });
