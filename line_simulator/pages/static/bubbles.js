// Draws message objects. Everything comes from outside, so nothing is ever inserted as HTML.
"use strict";

const Bubbles = (() => {
  const SIZES = { xxs: "11px", xs: "13px", sm: "14px", md: "16px", lg: "19px", xl: "22px", xxl: "29px", "3xl": "35px", "4xl": "48px", "5xl": "74px" };
  const GAPS = { none: "0", xs: "2px", sm: "4px", md: "8px", lg: "12px", xl: "16px", xxl: "20px" };
  const IMAGE_WIDTHS = { xxs: "40px", xs: "60px", sm: "80px", md: "100px", lg: "120px", xl: "140px", xxl: "160px", "3xl": "180px", "4xl": "200px", "5xl": "220px", full: "100%" };
  const ALIGN = { start: "left", center: "center", end: "right" };

  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = String(text);
    return node;
  }

  function image(url, className, alt) {
    const node = make("img", className);
    node.alt = alt || "画像";
    node.loading = "lazy";
    node.referrerPolicy = "no-referrer";
    if (/^https?:\/\//.test(url || "")) node.src = url;
    return node;
  }

  function button(action, tap, className) {
    const node = make("button", className, action.label || action.text || "ひらく");
    node.type = "button";
    node.addEventListener("click", () => tap(action));
    return node;
  }

  function tappable(node, action, tap) {
    if (!action) return node;
    node.classList.add("tappable");
    node.tabIndex = 0;
    node.setAttribute("role", "button");
    node.addEventListener("click", (event) => { event.stopPropagation(); tap(action); });
    node.addEventListener("keydown", (event) => { if (event.key === "Enter") tap(action); });
    return node;
  }

  function text(content, tap) {
    const node = make("div", "text");
    let rest = String(content);
    for (let found; (found = rest.match(/https?:\/\/[\x21-\x7e]+/)); ) {
      const url = found[0];
      node.append(rest.slice(0, found.index));
      const link = make("a", "", url);
      link.href = url;
      link.addEventListener("click", (event) => { event.preventDefault(); tap({ type: "uri", uri: url }); });
      node.append(link);
      rest = rest.slice(found.index + url.length);
    }
    node.append(rest);
    return node;
  }

  function card(part, template, tap) {
    const node = make("div", "card");
    if (part.thumbnailImageUrl) {
      const photo = image(part.thumbnailImageUrl, "photo", part.title);
      if (template.imageAspectRatio === "square") photo.classList.add("square");
      if (template.imageSize === "contain") photo.classList.add("contain");
      node.append(tappable(photo, part.defaultAction, tap));
    }
    if (part.title) node.append(make("h3", "", part.title));
    node.append(tappable(make("p", "", part.text), part.defaultAction, tap));
    const actions = make("div", template.type === "confirm" ? "actions two" : "actions");
    (part.actions || []).forEach((action) => actions.append(button(action, tap)));
    node.append(actions);
    return node;
  }

  function template(message, tap) {
    const inner = message.template || {};
    if (inner.type === "carousel") {
      const row = make("div", "row");
      (inner.columns || []).forEach((column) => row.append(card(column, inner, tap)));
      return row;
    }
    if (inner.type === "image_carousel") {
      const row = make("div", "row");
      (inner.columns || []).forEach((column) => {
        const tile = make("button", "tile");
        tile.type = "button";
        tile.append(image(column.imageUrl, "", column.action && column.action.label));
        if (column.action && column.action.label) tile.append(make("span", "", column.action.label));
        tile.addEventListener("click", () => tap(column.action || {}));
        row.append(tile);
      });
      return row;
    }
    return card(inner, inner, tap);
  }

  function length(value, table) {
    if (!value) return "";
    if (table && table[value] !== undefined) return table[value];
    return /^-?[\d.]+(px|%)$/.test(value) ? value : "";
  }

  function color(value) {
    return /^#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?$/.test(value || "") ? value : "";
  }

  function place(node, part, parent) {
    const horizontal = parent && parent.layout !== "vertical";
    const flex = part.flex !== undefined ? part.flex : horizontal && part.type !== "separator" && part.type !== "icon" ? 1 : 0;
    node.style.flex = flex > 0 ? `${Number(flex)} 1 0` : "0 0 auto";
    const gap = length(part.margin, GAPS);
    if (gap) node.style[horizontal ? "marginLeft" : "marginTop"] = gap;
    if (part.position === "absolute") node.style.position = "absolute";
    for (const [name, side] of [["offsetTop", "top"], ["offsetBottom", "bottom"], ["offsetStart", "left"], ["offsetEnd", "right"]]) {
      const value = length(part[name], GAPS);
      if (value) { node.style[side] = value; if (!node.style.position) node.style.position = "relative"; }
    }
    return node;
  }

  function style(node, part) {
    node.style.fontSize = length(part.size, SIZES) || "16px";
    if (part.weight === "bold") node.style.fontWeight = "700";
    if (part.style === "italic") node.style.fontStyle = "italic";
    if (part.decoration && part.decoration !== "none") node.style.textDecoration = part.decoration === "underline" ? "underline" : "line-through";
    if (color(part.color)) node.style.color = color(part.color);
    return node;
  }

  const COMPONENTS = {
    box(part, tap) {
      const node = make("div", `box ${["vertical", "baseline"].includes(part.layout) ? part.layout : "horizontal"}`);
      node.style.position = "relative";
      const spacing = length(part.spacing, GAPS);
      (part.contents || []).forEach((child, index) => {
        const inner = component(child, tap, part);
        if (!inner) return;
        if (index && spacing && !child.margin) inner.style[part.layout === "vertical" ? "marginTop" : "marginLeft"] = spacing;
        node.append(inner);
      });
      for (const [name, css] of [["paddingAll", "padding"], ["paddingTop", "paddingTop"], ["paddingBottom", "paddingBottom"], ["paddingStart", "paddingLeft"], ["paddingEnd", "paddingRight"], ["cornerRadius", "borderRadius"], ["width", "width"], ["maxWidth", "maxWidth"], ["height", "height"], ["maxHeight", "maxHeight"]]) {
        const value = length(part[name], GAPS);
        if (value) node.style[css] = value;
      }
      if (part.justifyContent) node.style.justifyContent = part.justifyContent;
      if (part.alignItems) node.style.alignItems = part.alignItems;
      if (color(part.backgroundColor)) node.style.backgroundColor = color(part.backgroundColor);
      const ground = part.background || {};
      if (ground.type === "linearGradient" && color(ground.startColor) && color(ground.endColor)) {
        node.style.backgroundImage = `linear-gradient(${parseFloat(ground.angle) || 0}deg, ${color(ground.startColor)}, ${color(ground.endColor)})`;
      }
      if (color(part.borderColor)) node.style.border = `${length(part.borderWidth) || "1px"} solid ${color(part.borderColor)}`;
      if (part.cornerRadius) node.style.overflow = "hidden";
      return node;
    },
    text(part) {
      const node = style(make("div", `flextext ${part.wrap ? "wrap" : "nowrap"}`), part);
      node.style.textAlign = ALIGN[part.align] || "left";
      if (part.gravity) node.style.alignSelf = { top: "flex-start", center: "center", bottom: "flex-end" }[part.gravity] || "";
      if (part.contents && part.contents.length) part.contents.forEach((span) => node.append(style(make("span", "", span.text || ""), { size: part.size, ...span })));
      else node.textContent = part.text || "";
      return node;
    },
    button(part, tap) {
      const node = button(part.action || {}, tap, `flexbutton ${["primary", "secondary"].includes(part.style) ? part.style : ""}`);
      if (color(part.color)) node.style[part.style === "primary" || part.style === "secondary" ? "backgroundColor" : "color"] = color(part.color);
      if (part.height === "sm") node.style.padding = ".3rem";
      return node;
    },
    image(part) {
      const node = image(part.url, "fleximage");
      const ratio = /^([\d.]+):([\d.]+)$/.exec(part.aspectRatio || "1:1");
      if (ratio) node.style.aspectRatio = `${ratio[1]} / ${ratio[2]}`;
      node.style.objectFit = part.aspectMode === "cover" ? "cover" : "contain";
      node.style.maxWidth = length(part.size || "md", IMAGE_WIDTHS);
      node.style.margin = part.align === "start" ? "0" : part.align === "end" ? "0 0 0 auto" : "0 auto";
      return node;
    },
    icon(part) {
      const node = image(part.url, "", "アイコン");
      node.style.height = length(part.size || "md", SIZES);
      return node;
    },
    video(part, tap) { return component(part.altContent || {}, tap); },
    separator(part) {
      const node = make("div", "flexseparator");
      if (color(part.color)) node.style.backgroundColor = color(part.color);
      return node;
    },
    filler() { const node = make("div"); node.style.flex = "1"; return node; },
  };

  function component(part, tap, parent) {
    const draw = COMPONENTS[part.type];
    if (!draw) return null;
    let node = draw(part, tap);
    if (!node) return null;
    if (part.action && part.type !== "button") tappable(node, part.action, tap);
    if (part.type === "filler") return node;
    const margin = part.type === "image" ? node.style.margin : "";
    place(node, part, parent);
    if (margin && !part.margin) node.style.margin = margin;
    return node;
  }

  function bubble(part, tap) {
    const node = make("div", `bubble ${/^[a-z]+$/.test(part.size || "") ? part.size : ""}`);
    if (part.direction === "rtl") node.dir = "rtl";
    for (const name of ["header", "hero", "body", "footer"]) {
      if (!part[name]) continue;
      const inner = component(part[name], tap);
      if (!inner) continue;
      const block = make("div", `block ${name}`);
      const look = (part.styles || {})[name] || {};
      if (color(look.backgroundColor)) block.style.backgroundColor = color(look.backgroundColor);
      if (look.separator) block.style.borderTop = `1px solid ${color(look.separatorColor) || "#d4d6da"}`;
      if (name === "hero" && part.hero.type === "image" && part.hero.size === undefined) inner.style.maxWidth = "100px";
      if (name !== "hero" && !part[name].paddingAll) inner.style.padding = "14px";
      block.append(inner);
      node.append(block);
    }
    return tappable(node, part.action, tap);
  }

  function flex(message, tap) {
    const inner = message.contents || {};
    if (inner.type !== "carousel") return bubble(inner, tap);
    const row = make("div", "row");
    (inner.contents || []).forEach((one) => row.append(bubble(one, tap)));
    return row;
  }

  function imagemap(message, tap) {
    const holder = make("div");
    holder.style.cssText = "position:relative;width:260px";
    const photo = image(`${message.baseUrl || ""}/700`, "picture", message.altText);
    photo.style.cssText = "width:260px;max-width:260px;max-height:none";
    const size = message.baseSize || { width: 1040, height: 1040 };
    photo.style.aspectRatio = `${Number(size.width)} / ${Number(size.height)}`;
    holder.append(photo);
    (message.actions || []).forEach((action) => {
      const area = action.area || {};
      const spot = make("button");
      spot.type = "button";
      spot.title = action.label || action.text || action.linkUri || "";
      const scale = 260 / Number(size.width || 1040);
      spot.style.cssText = `position:absolute;opacity:.12;left:${area.x * scale}px;top:${area.y * scale}px;width:${area.width * scale}px;height:${area.height * scale}px`;
      spot.addEventListener("click", () => tap(action.linkUri ? { ...action, uri: action.linkUri } : action));
      holder.append(spot);
    });
    return holder;
  }

  function video(message) {
    const holder = make("div");
    holder.append(image(message.previewImageUrl, "picture", "動画"));
    const play = make("button", "", "▶ 最後まで再生");
    play.type = "button";
    play.disabled = !message.trackingId;
    play.addEventListener("click", () => holder.dispatchEvent(new CustomEvent("played", { bubbles: true, detail: message.trackingId })));
    holder.append(play);
    return holder;
  }

  function draw(message, tap) {
    switch (message.type) {
      case "text": return text(message.text, tap);
      case "textV2": return text(String(message.text || "").replace(/\{(\w+)\}/g, (whole, name) => ((message.substitution || {})[name] || {}).type === "emoji" ? "🙂" : whole), tap);
      case "image": return image(message.previewImageUrl || message.originalContentUrl, "picture");
      case "video": return video(message);
      case "audio": return make("div", "text", `🔊 音声 ${Math.round((message.duration || 0) / 1000)}秒`);
      case "sticker": return make("div", "text", `😀 スタンプ ${message.packageId || ""}/${message.stickerId || ""}`);
      case "location": return make("div", "text", `📍 ${message.title || ""}\n${message.address || ""}`);
      case "template": return template(message, tap);
      case "flex": return flex(message, tap);
      case "imagemap": return imagemap(message, tap);
      case "coupon": return make("div", "text", "🎟 クーポン");
      default: return make("div", "text", `（${message.type || "不明"}）`);
    }
  }

  return { draw, make, image };
})();
