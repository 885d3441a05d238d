// Quick replies: the buttons above the place to write, for as long as the message with them is the newest.
import { button, icon, image, make } from "./dom.js";

const ICONS = { camera: "camera", cameraRoll: "image", location: "pin", datetimepicker: "calendar" };

/** Draw the quick replies of a chat's last message. */
export function drawQuick(chat) {
  const last = chat.content.lines.filter((line) => line.from !== "note").pop();
  const isShown = last && last.from === "account" && last.id !== chat.quickDone && chat.content.status !== "blocked" && last.message.quickReply;
  const items = (isShown && last.message.quickReply.items) || [];
  const mark = isShown ? last.id : "";
  if (chat.quick.dataset.mark === mark) return;
  chat.quick.dataset.mark = mark;
  chat.quick.hidden = !items.length;
  chat.quick.replaceChildren(...items.map((item) => {
    const action = item.action || {};
    // They go once something was sent: a date that nobody chose leaves them.
    const sent = () => { chat.quickDone = last.id; drawQuick(chat); };
    const node = button({ label: action.label, work: () => chat.context(last).tap(action, sent) });
    if (item.imageUrl) node.append(image(item.imageUrl, "", ""));
    else if (ICONS[action.type]) node.append(icon(ICONS[action.type], 18));
    node.append(make("span", "", action.label || ""));
    return node;
  }));
}
