// Building the page. Everything shown comes from outside, so nothing is ever inserted as HTML.

const SVG = "http://www.w3.org/2000/svg";

// Line drawings on a 24 x 24 grid.
const ICONS = {
  back: "M15 5l-7 7 7 7",
  close: "M6 6l12 12M18 6L6 18",
  more: "M5 7h14M5 12h14M5 17h14",
  plus: "M12 5v14M5 12h14",
  send: "M4 12l16-8-6 17-3-7z",
  keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
  menu: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  down: "M6 9l6 6 6-6",
  up: "M6 15l6-6 6 6",
  camera: "M4 8h4l2-3h4l2 3h4v11H4zM12 17a4 4 0 100-8 4 4 0 000 8z",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  pin: "M12 21s-7-6.5-7-11a7 7 0 0114 0c0 4.5-7 11-7 11zM12 12.5a2.5 2.5 0 100-5 2.5 2.5 0 000 5z",
  face: "M12 21a9 9 0 100-18 9 9 0 000 18zM8.5 10h.01M15.5 10h.01M8 14.5c2 2.5 6 2.5 8 0",
  play: "M8 5l11 7-11 7z",
  film: "M4 5h16v14H4zM10 9l5 3-5 3z",
  file: "M6 3h8l5 5v13H6zM14 3v5h5",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v5M16 3v5",
  gear: "M12 15.5a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3M5.3 5.3l2.1 2.1M16.6 16.6l2.1 2.1M5.3 18.7l2.1-2.1M16.6 7.4l2.1-2.1",
  hook: "M10 13a4 4 0 005.7.3l3-3a4 4 0 00-5.7-5.7l-1.2 1.2M14 11a4 4 0 00-5.7-.3l-3 3a4 4 0 005.7 5.7l1.2-1.2",
  person: "M12 12a4 4 0 100-8 4 4 0 000 8zM4 21c0-5 4-7 8-7s8 2 8 7",
  group: "M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 20c0-4 3-6 6.5-6s6.5 2 6.5 6M15.5 4.3a3.5 3.5 0 010 6.4M17.5 14.4c2.6.7 4 2.6 4 5.6",
  clock: "M12 21a9 9 0 100-18 9 9 0 000 18zM12 7v5l3.5 2",
  mic: "M12 15a3 3 0 003-3V6a3 3 0 00-6 0v6a3 3 0 003 3zM6 12a6 6 0 0012 0M12 18v3",
  outside: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
  ticket: "M3 7h18v4a2 2 0 000 4v3H3v-3a2 2 0 000-4zM14 7v11",
  check: "M5 12l5 5 9-10",
};

/** Return an element with classes and, if given, text. */
export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = String(text);
  return node;
}

/** Return an icon by name. */
export function icon(name, size = 22) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("width", size);
  svg.setAttribute("height", size);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name] || "");
  svg.append(path);
  return svg;
}

/** Return a button with text, an icon, or both; `label` is read out. */
export function button({ text, icon: name, label, className = "", work, size }) {
  const node = make("button", className);
  node.type = "button";
  if (name) node.append(icon(name, size));
  if (text !== undefined) node.append(make("span", "", text));
  if (label) {
    node.setAttribute("aria-label", label);
    node.title = label;
  }
  if (work) node.addEventListener("click", work);
  return node;
}

/** Say whether this is an http or https address. */
export function isWeb(url) {
  return /^https?:\/\/[^\s/]/i.test(String(url || ""));
}

// One transparent pixel.
const NOTHING = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

/** Return an image. What cannot be loaded becomes a quiet placeholder with the file's name. */
export function image(url, className, alt) {
  const node = make("img", className);
  node.alt = alt || "画像";
  node.decoding = "async";
  node.referrerPolicy = "no-referrer";
  const fail = () => {
    node.removeEventListener("error", fail);
    node.src = NOTHING;
    node.classList.add("missing");
    node.title = `画像を表示できません: ${url || ""}`;
  };
  node.addEventListener("error", fail);
  if (isWeb(url) || String(url).startsWith("/_")) node.src = url;
  else fail();
  return node;
}

/** Make a node that is not a button work like one. */
export function tappable(node, label, work) {
  node.classList.add("tappable");
  node.tabIndex = 0;
  node.setAttribute("role", "button");
  if (label) node.setAttribute("aria-label", label);
  node.addEventListener("click", (event) => { event.stopPropagation(); work(); });
  node.addEventListener("keydown", (event) => {
    if (event.target === node && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      event.stopPropagation();
      work();
    }
  });
  return node;
}

/** Return a round picture for an account or a person: their own, or the first letter on a colour of its own. */
export function avatar(name, url, className = "avatar") {
  if (isWeb(url)) return image(url, className, "");
  const letters = [...String(name || "?")];
  const node = make("span", `${className} letter`, letters[0] || "?");
  const hue = letters.reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  node.style.backgroundColor = `hsl(${hue} 48% 48%)`;
  node.setAttribute("aria-hidden", "true");
  return node;
}

/** Return text as nodes with its web addresses as links; `open` is called with a tapped address. */
export function linked(text, open) {
  const found = document.createDocumentFragment();
  let rest = String(text);
  for (let match; (match = rest.match(/https?:\/\/[\x21-\x7e]+/)); ) {
    const url = match[0];
    found.append(rest.slice(0, match.index));
    const link = make("a", "", url);
    link.href = url;
    link.rel = "noopener noreferrer";
    link.addEventListener("click", (event) => { event.preventDefault(); event.stopPropagation(); open(url); });
    found.append(link);
    rest = rest.slice(match.index + url.length);
  }
  found.append(rest);
  return found;
}

/** Return a labelled form field: {label, value, placeholder, type, options}. */
export function field({ label, name, value = "", placeholder = "", type = "text", options, required = false, maxLength }) {
  const holder = make("label", "field");
  holder.append(make("span", "", label));
  const input = make(options ? "select" : "input");
  if (options) {
    options.forEach(([key, text]) => { const one = make("option", "", text); one.value = key; input.append(one); });
  } else {
    input.type = type;
    input.placeholder = placeholder;
    if (maxLength) input.maxLength = maxLength;
  }
  input.name = name;
  if (value || !options) input.value = value;
  input.required = required;
  input.autocomplete = "off";
  holder.append(input);
  return holder;
}

/** Return a switch: a labelled checkbox that calls `change` with its new state. */
export function toggle(label, isOn, change) {
  const holder = make("label", "switch");
  const input = make("input");
  input.type = "checkbox";
  input.checked = isOn;
  input.addEventListener("change", () => change(input.checked));
  holder.append(input, make("i"), make("span", "", label));
  return holder;
}
