// The rich menu at the foot of a chat.
import { verb } from "./api.js";
import { button, image, make } from "./dom.js";
import { cover } from "./messages.js";
import { perform } from "./actions.js";

/** Draw a rich menu of /_sim/menu for a chat. */
export function drawMenu(chat, menu) {
  const node = make("div", "richmenu");
  const size = menu.size || { width: 2500, height: 1686 };
  node.style.aspectRatio = `${Number(size.width) || 2500} / ${Number(size.height) || 1686}`;
  node.append(image(menu.imageUrl, "", "リッチメニュー"));
  (menu.areas || []).forEach((area, index) => {
    const action = area.action || {};
    const label = action.label || action.text || action.richMenuAliasId || action.displayText || action.data || action.uri || `エリア${index + 1}`;
    const work = () => perform(chat, action, (params) => verb(chat.person.id, chat.channel.id, "tap_menu", { area: index, open: false, ...(params ? { params } : {}) }));
    node.append(cover(button({ className: "spot", label, work }), area.bounds || {}, size));
  });
  return node;
}
