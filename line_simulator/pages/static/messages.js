// Draws one message object as LINE shows it.
import { drawFlex } from "./flex.js";
import { button, icon, image, isWeb, linked, make, tappable } from "./dom.js";
import { drawTemplate } from "./templates.js";

/**
 * Draw a message. context: tap(action), watch({url, preview, trackingId, action}), view(url), open(url), aboutCoupon(id), names {userId: name},
 * mine: whether the person sent it, and id: the message id.
 */
export function drawMessage(message, context) {
  const draw = DRAWN[message.type];
  if (draw) return draw(message, context);
  const node = make("div", "text unknown");
  node.append(make("span", "", message.altText || `（${message.type || "不明"}）`));
  return node;
}

/** Return one line of text for lists of chats and notifications. */
export function summary(message) {
  const said = {
    text: () => message.text,
    textV2: () => plainV2(message),
    sticker: () => "スタンプを送信しました",
    image: () => "写真を送信しました",
    video: () => "動画を送信しました",
    audio: () => "ボイスメッセージを送信しました",
    file: () => `ファイル: ${message.fileName || ""}`,
    location: () => "位置情報を送信しました",
    coupon: () => "クーポン",
    unsent: () => "メッセージの送信を取り消しました",
  }[message.type];
  return String((said ? said() : message.altText) || "").replace(/\s+/g, " ").slice(0, 80);
}

const DRAWN = { text, textV2, sticker, image: photo, video, audio, file, location, imagemap, coupon,
  template: (message, context) => drawTemplate(message.template || {}, context),
  flex: (message, context) => drawFlex(message.contents, context) };

function emoji(part) {
  const node = make("span", "emoji");
  node.setAttribute("role", "img");
  node.title = `LINE絵文字 ${part.productId || ""}/${part.emojiId || ""}`;
  node.setAttribute("aria-label", node.title);
  node.style.setProperty("--hue", hue(`${part.productId}${part.emojiId}`));
  return node;
}

function hue(text) {
  return String([...String(text)].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 0));
}

function text(message, context) {
  const node = make("div", "text");
  const content = String(message.text || "");
  let from = 0;
  // Both count in UTF-16 units as JavaScript does. An emoji stands for the $ at its place, a mention for its @name.
  const emojis = listed(message.emojis).filter((one) => content[one.index] === "$").map((one) => ({ ...one, length: 1, node: () => emoji(one) }));
  const mentions = listed((message.mention || {}).mentionees)
    .map((one) => ({ ...one, node: () => make("span", "mention", content.slice(one.index, one.index + one.length)) }));
  for (const one of [...emojis, ...mentions].sort((a, b) => a.index - b.index)) {
    if (!Number.isInteger(one.index) || !(one.length > 0) || one.index < from) continue;
    node.append(linked(content.slice(from, one.index), context.open), one.node());
    from = one.index + one.length;
  }
  node.append(linked(content.slice(from), context.open));
  return node;
}

function listed(value) {
  return Array.isArray(value) ? value : [];
}

const PLACEHOLDER = /\{\{|\}\}|\{([A-Za-z0-9_]{1,20})\}/g;

function piecesV2(message) {
  const content = String(message.text || "");
  const pieces = [];
  let from = 0;
  for (const found of content.matchAll(PLACEHOLDER)) {
    pieces.push(content.slice(from, found.index));
    const part = found[1] && (message.substitution || {})[found[1]];
    pieces.push(found[0] === "{{" ? "{" : found[0] === "}}" ? "}" : part || found[0]);
    from = found.index + found[0].length;
  }
  pieces.push(content.slice(from));
  return pieces;
}

function mentioned(part, names) {
  const target = part.mentionee || {};
  return target.type === "all" ? "@All" : `@${(names || {})[target.userId] || "メンバー"}`;
}

function textV2(message, context) {
  const node = make("div", "text");
  for (const piece of piecesV2(message)) {
    if (typeof piece === "string") node.append(linked(piece, context.open));
    else if (piece.type === "emoji") node.append(emoji(piece));
    else node.append(make("span", "mention", mentioned(piece, context.names)));
  }
  return node;
}

function plainV2(message) {
  return piecesV2(message).map((piece) => (typeof piece === "string" ? piece : piece.type === "emoji" ? "☺" : mentioned(piece))).join("");
}

function sticker(message) {
  const node = make("figure", "sticker");
  const face = make("span", "stickerface");
  face.style.setProperty("--hue", hue(`${message.packageId}${message.stickerId}`));
  node.append(face, make("figcaption", "", `スタンプ ${message.packageId || ""} / ${message.stickerId || ""}`));
  return node;
}

function photo(message, context) {
  const own = context.mine ? `/_phone/content/${context.id}` : "";
  const node = make("div", "picture");
  node.append(image(own || message.previewImageUrl || message.originalContentUrl, "", "写真"));
  return tappable(node, "写真を大きく表示", () => context.view(own || message.originalContentUrl));
}

function video(message, context) {
  const own = context.mine ? `/_phone/content/${context.id}` : "";
  const node = make("div", "picture");
  node.append(own ? make("div", "film") : image(message.previewImageUrl, "", "動画"), make("span", "playmark"));
  node.lastChild.append(icon("play", 26));
  return tappable(node, "動画を再生", () => context.watch({ url: own || message.originalContentUrl, preview: message.previewImageUrl, trackingId: message.trackingId }));
}

function audio(message, context) {
  const seconds = Math.max(0, Math.round(Number(message.duration || 0) / 1000));
  const node = make("div", "text audio");
  const url = context.mine ? `/_phone/content/${context.id}` : message.originalContentUrl;
  node.append(button({ icon: "play", label: "音声を再生", size: 18, work: () => context.watch({ url, sound: true }) }),
    make("span", "wave"), make("span", "", `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`));
  return node;
}

function file(message, context) {
  const node = make("a", "text file");
  node.href = `/_phone/content/${encodeURIComponent(context.id)}`;
  node.download = message.fileName || "file";
  node.append(icon("file", 26), make("span", "", message.fileName || "ファイル"));
  return node;
}

function location(message, context) {
  const node = make("div", "card place");
  node.append(make("div", "map"), make("h3", "", message.title || "位置情報"), make("p", "", message.address || ""));
  node.firstChild.append(icon("pin", 34));
  return tappable(node, `地図 ${message.title || ""}`, () => context.say(`地図アプリで開きます（${message.latitude}, ${message.longitude}）`));
}

function coupon(message, context) {
  const node = make("div", "card ticket");
  const title = make("h3", "", "クーポン");
  const words = make("p", "", message.couponId || "");
  node.append(make("div", "band"), title, words);
  context.aboutCoupon(message.couponId).then((known) => {
    if (known.title) { title.textContent = known.title; words.textContent = known.description || "クーポン"; }
  });
  node.firstChild.append(icon("ticket", 34));
  return tappable(node, "クーポンを開く", () => context.coupon(message.couponId));
}

const IMAGEMAP_WIDTH = 300;

/** Put a node over a picture at an area given in the picture's own units, as per cents, so that it scales. */
export function cover(node, area, size) {
  const part = (value, whole) => `${(100 * Number(value || 0)) / Number(whole || 1)}%`;
  node.style.left = part(area.x, size.width);
  node.style.top = part(area.y, size.height);
  node.style.width = part(area.width, size.width);
  node.style.height = part(area.height, size.height);
  return node;
}

function imagemap(message, context) {
  const size = message.baseSize || { width: 1040, height: 1040 };
  const node = make("div", "imagemap");
  node.style.width = `${IMAGEMAP_WIDTH}px`;
  node.style.aspectRatio = `${Number(size.width) || 1040} / ${Number(size.height) || 1040}`;
  // LINE asks for the width that suits the screen: 240, 300, 460, 700 or 1040.
  node.append(image(isWeb(message.baseUrl) ? `${message.baseUrl}/${window.devicePixelRatio > 1.5 ? 700 : 460}` : "", "", message.altText));
  for (const action of message.actions || []) {
    const label = action.label || action.text || action.linkUri || "タップする";
    const work = () => context.tap(action.type === "uri" ? { ...action, uri: action.linkUri } : action);
    node.append(cover(button({ className: "spot", label, work }), action.area || {}, size));
  }
  if (message.video) node.append(mapVideo(message.video, size, context));
  return node;
}

function mapVideo(part, size, context) {
  const link = part.externalLink;
  const action = link ? { type: "uri", label: link.label, uri: link.linkUri } : undefined;
  const node = cover(make("div", "mapvideo"), part.area || {}, size);
  node.append(image(part.previewImageUrl, "", "動画"), make("span", "playmark"));
  node.lastChild.append(icon("play", 26));
  return tappable(node, "動画を再生", () => context.watch({ url: part.originalContentUrl, preview: part.previewImageUrl, action }));
}
