// What a person can send besides text: photos, videos, files, stickers, the place they are at.
import { base64 } from "./api.js";
import { button, field, make } from "./dom.js";

const PLACES = [
  { title: "東京駅", address: "東京都千代田区丸の内1丁目", latitude: 35.681236, longitude: 139.767125 },
  { title: "大阪駅", address: "大阪府大阪市北区梅田3丁目", latitude: 34.702485, longitude: 135.495951 },
  { title: "札幌駅", address: "北海道札幌市北区北6条西4丁目", latitude: 43.068661, longitude: 141.350755 },
  { title: "那覇空港", address: "沖縄県那覇市鏡水150", latitude: 26.206535, longitude: 127.646508 },
];
const STICKERS = [["446", "1988"], ["446", "1989"], ["446", "1990"], ["446", "1993"], ["789", "10855"], ["789", "10856"], ["789", "10857"], ["789", "10858"]];

function say(chat, message, data) {
  return chat.say({ message, ...(data === undefined ? {} : { data }) });
}

/** Let the person choose a photo and send it; with `camera` a phone would open its camera. */
export function choosePhoto(chat, camera = false) {
  choose(chat, "image/png,image/jpeg", (file) => ({ type: "image", contentType: file.type }), camera);
}

function choose(chat, accept, describe, camera = false) {
  const input = make("input");
  input.type = "file";
  input.accept = accept;
  if (camera) input.setAttribute("capture", "environment");
  input.addEventListener("change", async () => {
    const chosen = input.files[0];
    if (chosen) say(chat, describe(chosen), await base64(chosen));
  });
  input.click();
}

/** Draw a small photo, so that sending one needs no file. */
function samplePhoto(chat) {
  const canvas = make("canvas");
  canvas.width = 480;
  canvas.height = 360;
  const paint = canvas.getContext("2d");
  const sky = paint.createLinearGradient(0, 0, 0, 360);
  sky.addColorStop(0, "#8ec5f4");
  sky.addColorStop(1, "#fbe3c0");
  paint.fillStyle = sky;
  paint.fillRect(0, 0, 480, 360);
  paint.fillStyle = "#fff2b8";
  paint.beginPath();
  paint.arc(360, 90, 38, 0, 7);
  paint.fill();
  for (const [color, base, height] of [["#8fb98a", 360, 150], ["#5d9468", 360, 95], ["#3c7350", 360, 50]]) {
    paint.fillStyle = color;
    paint.beginPath();
    paint.moveTo(0, base);
    for (let x = 0; x <= 480; x += 12) paint.lineTo(x, base - height - 28 * Math.sin((x + height * 3) / 70));
    paint.lineTo(480, base);
    paint.fill();
  }
  say(chat, { type: "image", contentType: "image/jpeg" }, canvas.toDataURL("image/jpeg", 0.85).split(",")[1]);
}

/** Let the person choose a place and send it. */
export function sendLocation(chat) {
  const form = make("form", "picker");
  const list = make("div", "choices");
  let close = () => {};
  PLACES.forEach((place) => list.append(button({ icon: "pin", text: place.title, work: () => { close(); say(chat, { type: "location", ...place }); } })));
  const own = field({ label: "ほかの場所（住所）", name: "address", placeholder: "例: 京都府京都市下京区", maxLength: 100 });
  const row = make("div", "buttons");
  row.append(make("button", "main", "この住所を送信"));
  form.append(list, own, row);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = own.querySelector("input").value.trim();
    if (!address) return;
    close();
    say(chat, { type: "location", title: address.slice(0, 20), address, latitude: 35.0, longitude: 135.75 });
  });
  close = chat.over.sheet("位置情報を送る", form);
}

/** Let the person choose a sticker and send it. */
export function sendSticker(chat) {
  const grid = make("div", "stickers choices");
  let close = () => {};
  STICKERS.forEach(([packageId, stickerId]) => {
    const one = button({ label: `スタンプ ${packageId}/${stickerId}`, work: () => { close(); say(chat, { type: "sticker", packageId, stickerId }); } });
    const face = make("span", "stickerface");
    face.style.setProperty("--hue", String((Number(stickerId) * 47) % 360));
    one.append(face);
    grid.append(one);
  });
  close = chat.over.sheet("スタンプ", grid);
}

/** Show what can be sent. */
export function showAttachments(chat) {
  const list = make("div", "attachments choices");
  let close = () => {};
  const add = (name, text, work) => list.append(button({ icon: name, text, size: 26, work: () => { close(); work(); } }));
  add("image", "写真を選ぶ", () => choosePhoto(chat));
  add("camera", "カメラ", () => samplePhoto(chat));
  add("film", "動画", () => choose(chat, "video/*", (file) => ({ type: "video", contentType: file.type, duration: 1000 })));
  add("file", "ファイル", () => choose(chat, "", (file) => ({ type: "file", fileName: file.name })));
  add("pin", "位置情報", () => sendLocation(chat));
  add("face", "スタンプ", () => sendSticker(chat));
  close = chat.over.sheet("送る", list);
}
