// Flex Messages, drawn to judge a layout by.
// LINE documents the order of its size words, not their pixels; the numbers are those of LINE's own Flex Message Simulator.
import { icon, image, make, tappable } from "./dom.js";

const FONT = { xxs: "11px", xs: "13px", sm: "14px", md: "16px", lg: "19px", xl: "22px", xxl: "29px", "3xl": "35px", "4xl": "48px", "5xl": "74px" };
const GAP = { none: "0px", xs: "2px", sm: "4px", md: "8px", lg: "12px", xl: "16px", xxl: "20px" };
const PICTURE = { xxs: "40px", xs: "60px", sm: "80px", md: "100px", lg: "120px", xl: "140px", xxl: "160px", "3xl": "180px", "4xl": "200px", "5xl": "220px", full: "100%" };
const BORDER = { none: "0px", light: "0.5px", normal: "1px", medium: "2px", "semi-bold": "3px", bold: "4px" };
const SIZES = ["nano", "micro", "deca", "hecto", "kilo", "mega", "giga"];
const JUSTIFY = ["center", "flex-start", "flex-end", "space-between", "space-around", "space-evenly"];
const ALIGN_ITEMS = ["center", "flex-start", "flex-end"];
const TEXT_ALIGN = { start: "start", center: "center", end: "end" };
const CROSS = { start: "flex-start", center: "center", end: "flex-end" };
const GRAVITY = { top: "flex-start", center: "center", bottom: "flex-end" };
const BLOCKS = ["header", "hero", "body", "footer"];

/** Return a length of CSS for a keyword, pixels or per cent; empty for anything else. */
function length(value, words = {}) {
  if (typeof value !== "string") return "";
  if (Object.hasOwn(words, value)) return words[value];
  return /^-?\d{1,5}(\.\d+)?(px|%)$/.test(value) ? value : "";
}

/** Return a colour of CSS for #RRGGBB or #RRGGBBAA; empty for anything else. */
function color(value) {
  return typeof value === "string" && /^#([0-9a-f]{6}|[0-9a-f]{8})$/i.test(value) ? value : "";
}

function ratio(value, otherwise) {
  const found = /^(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)$/.exec(value || "");
  return found && Number(found[1]) > 0 && Number(found[2]) > 0 ? Number(found[1]) / Number(found[2]) : otherwise;
}

function words(part) {
  const own = (part.contents || []).map((one) => one.text || "").join("");
  return part.text || own || (part.action || {}).label || "";
}

/** Lay a component into its box: how much of it, the space before it, and where it is moved to. */
function place(node, part, box, index) {
  const across = box && box.layout !== "vertical";
  if (box && part.position !== "absolute") {
    node.style.flex = share(part, box, across);
    const own = length(part.margin, GAP);
    const spaced = index > 0 && part.type !== "filler" ? length(box.spacing, GAP) : "";
    if (own || spaced) node.style[across ? "marginInlineStart" : "marginTop"] = own || spaced;
  }
  const sides = { offsetTop: "top", offsetBottom: "bottom", offsetStart: "insetInlineStart", offsetEnd: "insetInlineEnd" };
  if (part.position === "absolute") node.style.position = "absolute";
  for (const [name, side] of Object.entries(sides)) {
    const value = length(part[name], GAP);
    if (value) node.style[side] = value;
  }
}

/** Return the CSS flex of a component: in a row each takes an equal part unless told otherwise, in a column its own height. */
function share(part, box, across) {
  if (part.type === "separator" || part.type === "icon") return "none";
  const given = Number.isInteger(part.flex) && part.flex >= 0 ? part.flex : undefined;
  if (part.type === "filler") return `${given === undefined ? 1 : given} 0 0px`;
  if (given === undefined) {
    if (!across || (part.type === "box" && length(part.width))) return "none";
    return "1 0 0px";
  }
  if (given === 0) return "none";
  return across ? `${given} 0 0px` : `${given} 0 auto`;
}

function letters(node, part, size) {
  const own = length(part.size, FONT);
  if (own || size) node.style.fontSize = own || size;
  if (part.weight === "bold") node.style.fontWeight = "700";
  if (part.weight === "regular") node.style.fontWeight = "400";
  if (part.style === "italic") node.style.fontStyle = "italic";
  if (part.style === "normal") node.style.fontStyle = "normal";
  if (["underline", "line-through", "none"].includes(part.decoration)) node.style.textDecoration = part.decoration;
  if (color(part.color)) node.style.color = color(part.color);
  return node;
}

function text(part, context, box) {
  const holder = make("div", "fx-text");
  const inner = letters(make("p"), part, FONT.md);
  if (part.wrap === true) inner.classList.add("wrap");
  if (TEXT_ALIGN[part.align]) inner.style.textAlign = TEXT_ALIGN[part.align];
  if (GRAVITY[part.gravity] && box && box.layout !== "baseline") holder.style.justifyContent = GRAVITY[part.gravity];
  if (Number.isInteger(part.maxLines) && part.maxLines > 0 && part.wrap === true) {
    inner.classList.add("clamp");
    inner.style.webkitLineClamp = String(part.maxLines);
  }
  const leading = length(part.lineSpacing);
  if (leading.endsWith("px")) {
    // The space stands between lines only, not above the first and below the last.
    inner.style.lineHeight = `calc(1.4em + ${leading})`;
    inner.style.marginBlock = `calc(${leading} / -2)`;
  }
  if (part.adjustMode === "shrink-to-fit" && part.wrap !== true) inner.classList.add("shrink");
  const spans = (part.contents || []).filter((one) => one && one.type === "span");
  if (spans.length) inner.append(...spans.map((span) => letters(make("span", "", span.text || ""), span)));
  else inner.textContent = part.text || "";
  holder.append(inner);
  return holder;
}

function button(part, context) {
  const action = part.action || {};
  const holder = make("div", "fx-button");
  const style = ["primary", "secondary"].includes(part.style) ? part.style : "link";
  const node = make("button", `${style}${part.height === "sm" ? " sm" : ""}`);
  node.type = "button";
  const label = make("span", part.adjustMode === "shrink-to-fit" ? "shrink" : "", action.label || "");
  node.append(label);
  if (color(part.color)) node.style[style === "link" ? "color" : "backgroundColor"] = color(part.color);
  if (GRAVITY[part.gravity]) holder.style.justifyContent = GRAVITY[part.gravity];
  node.addEventListener("click", (event) => { event.stopPropagation(); context.tap(action); });
  holder.append(node);
  return holder;
}

function picture(part) {
  const holder = make("div", "fx-image");
  const frame = make("div", "frame");
  frame.style.width = length(part.size || "md", PICTURE) || PICTURE.md;
  frame.style.aspectRatio = String(Math.max(ratio(part.aspectRatio, 1), 1 / 3));
  if (color(part.backgroundColor)) frame.style.backgroundColor = color(part.backgroundColor);
  const inner = image(part.url, "", words(part));
  inner.style.objectFit = part.aspectMode === "cover" ? "cover" : "contain";
  frame.append(inner);
  holder.append(frame);
  if (CROSS[part.align]) holder.style.alignItems = CROSS[part.align];
  if (GRAVITY[part.gravity]) holder.style.justifyContent = GRAVITY[part.gravity];
  return holder;
}

function sign(part) {
  const holder = make("div", "fx-icon");
  holder.style.fontSize = length(part.size || "md", FONT) || FONT.md;
  const inner = image(part.url, "", "");
  inner.style.width = `${Math.min(ratio(part.aspectRatio, 1), 3)}em`;
  holder.append(inner);
  return holder;
}

function video(part, context) {
  if (!["kilo", "mega", "giga"].includes(context.size) || context.inCarousel) {
    return component(part.altContent || {}, { ...context }, null, 0);
  }
  const holder = make("div", "fx-video");
  holder.style.aspectRatio = String(ratio(part.aspectRatio, 20 / 13));
  holder.append(image(part.previewUrl, "", "動画"), make("span", "playmark"));
  holder.lastChild.append(icon("play", 26));
  return tappable(holder, "動画を再生", () => context.watch({ url: part.url, preview: part.previewUrl, action: part.action }));
}

function box(part, context) {
  const layout = ["vertical", "baseline"].includes(part.layout) ? part.layout : "horizontal";
  const node = make("div", `fx-box ${layout}`);
  (Array.isArray(part.contents) ? part.contents : []).forEach((child, index) => {
    const inner = component(child, context, { ...part, layout }, index);
    if (inner) node.append(inner);
  });
  for (const [name, css] of [
    ["paddingAll", "padding"], ["paddingTop", "paddingTop"], ["paddingBottom", "paddingBottom"], ["paddingStart", "paddingInlineStart"],
    ["paddingEnd", "paddingInlineEnd"], ["cornerRadius", "borderRadius"], ["width", "width"], ["maxWidth", "maxWidth"],
    ["height", "height"], ["maxHeight", "maxHeight"],
  ]) {
    const value = length(part[name], GAP);
    if (value) node.style[css] = value;
  }
  if (JUSTIFY.includes(part.justifyContent)) node.style.justifyContent = part.justifyContent;
  if (ALIGN_ITEMS.includes(part.alignItems)) node.style.alignItems = part.alignItems;
  const border = length(part.borderWidth, BORDER);
  if (border) node.style.border = `${border} solid ${color(part.borderColor) || "#000000"}`;
  if (color(part.backgroundColor)) node.style.backgroundColor = color(part.backgroundColor);
  const ground = gradient(part.background || {});
  if (ground) node.style.backgroundImage = ground;
  return node;
}

function gradient(ground) {
  const start = color(ground.startColor);
  const end = color(ground.endColor);
  const angle = /^\d{1,3}(\.\d+)?deg$/.test(ground.angle || "") ? ground.angle : "0deg";
  if (ground.type !== "linearGradient" || !start || !end) return "";
  const center = color(ground.centerColor);
  const position = length(ground.centerPosition).endsWith("%") ? ground.centerPosition : "50%";
  return `linear-gradient(${angle}, ${start} 0%, ${center ? `${center} ${position}, ` : ""}${end} 100%)`;
}

function separator(part) {
  const node = make("div", "fx-separator");
  if (color(part.color)) node.style.backgroundColor = color(part.color);
  return node;
}

const COMPONENTS = { box, text, button, image: picture, icon: sign, video, separator, filler: () => make("div", "fx-filler"), spacer: () => make("div") };

function component(part, context, parent, index) {
  if (!part || !Object.hasOwn(COMPONENTS, part.type)) return null;
  const node = COMPONENTS[part.type](part, context, parent);
  if (!node) return null;
  if (part.action && !["button", "video"].includes(part.type)) {
    tappable(node, words(part) || part.action.label || "タップする", () => context.tap(part.action));
  }
  place(node, part, parent, index);
  return node;
}

function block(name, part, styles, context, isFirst) {
  const inner = component(part, context, null, 0);
  if (!inner) return [];
  const node = make("div", `fx-block ${name}`);
  const look = styles[name] || {};
  if (color(look.backgroundColor)) node.style.backgroundColor = color(look.backgroundColor);
  node.append(inner);
  if (!look.separator || isFirst) return [node];
  const line = make("div", "fx-separator");
  if (color(look.separatorColor)) line.style.backgroundColor = color(look.separatorColor);
  return [line, node];
}

function bubble(part, context) {
  const size = SIZES.includes(part.size) ? part.size : "mega";
  const node = make("div", `fx-bubble ${size}`);
  node.dir = part.direction === "rtl" ? "rtl" : "ltr";
  if (part.footer) node.classList.add("with-footer");
  for (const name of BLOCKS) {
    if (part[name]) node.append(...block(name, part[name], part.styles || {}, { ...context, size }, !node.firstChild));
  }
  return part.action ? tappable(node, part.action.label || "タップする", () => context.tap(part.action)) : node;
}

/** Draw a flex container. context: tap(action), watch({url, preview, action}). */
export function drawFlex(container, context) {
  if (!container || container.type !== "carousel") return bubble(container || {}, context);
  const row = make("div", "swipe fx-carousel");
  const bubbles = Array.isArray(container.contents) ? container.contents : [];
  row.append(...bubbles.map((one) => bubble(one || {}, { ...context, inCarousel: true })));
  return row;
}

/** Make texts that may shrink fit their width. Call when `root` is on the page. */
export function shrinkTexts(root) {
  root.querySelectorAll(".shrink").forEach((node) => {
    if (node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0) {
      const size = parseFloat(getComputedStyle(node).fontSize);
      node.style.fontSize = `${Math.max(1, Math.floor((size * node.clientWidth * 10) / node.scrollWidth) / 10)}px`;
    }
  });
}
