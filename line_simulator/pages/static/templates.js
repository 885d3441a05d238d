// Draws template messages: buttons, confirm, carousel, image carousel.
import { button, image, make, tappable } from "./dom.js";

/** Draw a template. context: tap(action). */
export function drawTemplate(template, context) {
  if (template.type === "carousel") return carousel(template, context);
  if (template.type === "image_carousel") return pictures(template, context);
  return card(template, template, context);
}

function carousel(template, context) {
  const row = make("div", "swipe");
  row.append(...(template.columns || []).map((column) => card(column, template, context)));
  return row;
}

function card(part, template, context) {
  const node = make("div", "card");
  const top = make("div", "upper");
  if (part.thumbnailImageUrl) {
    const frame = make("div", `thumbnail${template.imageAspectRatio === "square" ? " square" : ""}`);
    const photo = image(part.thumbnailImageUrl, "", part.title);
    photo.style.objectFit = template.imageSize === "contain" ? "contain" : "cover";
    if (/^#[0-9a-f]{6}$/i.test(part.imageBackgroundColor || "")) frame.style.backgroundColor = part.imageBackgroundColor;
    frame.append(photo);
    top.append(frame);
  }
  if (part.title) top.append(make("h3", "", part.title));
  top.append(make("p", "", part.text));
  if (part.defaultAction) tappable(top, part.defaultAction.label || part.title || part.text, () => context.tap(part.defaultAction));
  const actions = make("div", template.type === "confirm" ? "actions two" : "actions");
  (part.actions || []).forEach((action) => {
    actions.append(button({ text: action.label || action.text || "", work: () => context.tap(action) }));
  });
  node.append(top, actions);
  return node;
}

function pictures(template, context) {
  const row = make("div", "swipe");
  (template.columns || []).forEach((column) => {
    const action = column.action || {};
    const tile = make("button", "tile");
    tile.type = "button";
    tile.setAttribute("aria-label", action.label || "画像");
    tile.append(image(column.imageUrl, "", action.label));
    if (action.label) tile.append(make("span", "", action.label));
    tile.addEventListener("click", () => context.tap(action));
    row.append(tile);
  });
  return row;
}
