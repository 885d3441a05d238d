// What a tap does, as LINE does it: a message, a postback, a page, a date, the clipboard, the camera.
import { field, isWeb, make, button } from "./dom.js";
import { act } from "./store.js";
import { choosePhoto, sendLocation } from "./sending.js";

/** Do an action. chat: the chat it was tapped in. via: how it is told to the simulator, with what was chosen if anything. */
export async function perform(chat, action, via) {
  const tell = (params) => act(async () => {
    const told = await via(params);
    chat.listenTo(action);
    return told;
  }, (text) => chat.over.say(text));
  switch (action.type) {
    case "uri": return openLink(chat, action, tell);
    case "datetimepicker": return pickTime(chat, action, tell);
    case "clipboard": return copy(chat, action, tell);
    case "camera":
    case "cameraRoll": return choosePhoto(chat, action.type === "camera");
    case "location": return sendLocation(chat);
    case "message":
    case "postback":
    case "richmenuswitch": return tell();
    default: return chat.over.say(`「${action.type || "不明"}」はここでは動きません。`);
  }
}

async function openLink(chat, action, tell) {
  const url = String(action.uri || action.linkUri || "");
  tell();
  if (isWeb(url)) {
    await chat.over.browse(url);
    return act(async () => {});
  }
  if (url.startsWith("tel:")) return chat.over.say(`電話をかけます: ${url.slice(4)}`);
  return chat.over.say(`LINEアプリで開きます: ${url}`);
}

async function copy(chat, action, tell) {
  const text = String(action.clipboardText || "");
  try {
    await navigator.clipboard.writeText(text);
    chat.over.say("コピーしました");
  } catch {
    chat.over.say(`コピーする文字: ${text}`);
  }
  return tell();
}

const INPUTS = { date: "date", time: "time", datetime: "datetime-local" };
const LABELS = { date: "日付を選ぶ", time: "時刻を選ぶ", datetime: "日時を選ぶ" };

function pickTime(chat, action, tell) {
  const mode = INPUTS[action.mode] ? action.mode : "datetime";
  const form = make("form", "picker");
  const holder = field({ label: LABELS[mode], name: "when", type: INPUTS[mode], required: true });
  const input = holder.querySelector("input");
  const plain = (value) => String(value || "").replace("t", "T");
  input.value = plain(action.initial) || defaultTime(chat, mode);
  input.min = plain(action.min);
  input.max = plain(action.max);
  const row = make("div", "buttons");
  row.append(button({ text: "キャンセル", className: "plain", work: () => close() }), make("button", "main", "送信"));
  form.append(holder, row);
  const close = chat.over.sheet(LABELS[mode], form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    close();
    tell({ [mode]: input.value.slice(0, mode === "datetime" ? 16 : 10) });
  });
}

function defaultTime(chat, mode) {
  const stamp = new Intl.DateTimeFormat("sv-SE", { timeZone: "Asia/Tokyo", dateStyle: "short", timeStyle: "short" }).format(chat.now());
  return { date: stamp.slice(0, 10), time: stamp.slice(11, 16), datetime: stamp.slice(0, 16).replace(" ", "T") }[mode];
}
