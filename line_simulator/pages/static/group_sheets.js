// Sheets about groups: making one, and who is in it.
import { call } from "./api.js";
import { avatar, button, field, icon, make } from "./dom.js";
import { groupVerb } from "./group_api.js";
import { act, store } from "./store.js";

const SHOWN_MAX = 60;
const KINDS = [["group", "グループ"], ["room", "複数人トーク（旧形式のルーム）"]];

function face(one, note = "") {
  const node = make("span", "face");
  node.append(avatar(one.name, one.pictureUrl), make("span", "", one.name));
  if (note) node.append(make("small", "hint", note));
  return node;
}

function choosePeople(people) {
  const node = make("div", "checks");
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", "メンバー");
  people.slice(0, SHOWN_MAX).forEach((one) => {
    const holder = make("label", "check");
    const input = make("input");
    input.type = "checkbox";
    input.name = "member";
    input.value = one.id;
    holder.append(input, face(one));
    node.append(holder);
  });
  return node;
}

function chooseAccount() {
  const options = [["", "招待しない"], ...store.channels.map((one) => [one.id, one.name])];
  return field({ label: "招待する公式アカウント", name: "channel", options, value: store.channels.length ? store.channels[0].id : "" });
}

/** Let the person of a phone make a group. opened: called with its id. */
export function showNewGroup(phone, opened) {
  const form = make("form", "picker");
  const others = store.people.filter((one) => one.id !== phone.person.id);
  const name = field({ label: "グループ名", name: "name", placeholder: "例: 町内会", required: true, maxLength: 50 });
  const kind = field({ label: "種類", name: "kind", options: KINDS, value: "group" });
  const row = make("div", "buttons");
  row.append(make("button", "main", "作成する"));
  form.append(name, kind, choosePeople(others), chooseAccount(), row);
  const close = phone.over.sheet("グループを作成", form);
  kind.querySelector("select").addEventListener("change", (event) => {
    const isRoom = event.target.value === "room";
    name.hidden = isRoom;
    name.querySelector("input").required = !isRoom;
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const values = new FormData(form);
    const room = values.get("kind") === "room";
    const members = [phone.person.id, ...values.getAll("member")];
    const names = members.map((id) => (store.people.find((one) => one.id === id) || {}).name);
    create(phone, { name: room ? names.join("、") : String(values.get("name")).trim(), room, members }, String(values.get("channel")), close, opened);
  });
}

async function create(phone, wanted, channel, close, opened) {
  const made = await act(async () => {
    const { groups } = await call("GET", "/_sim/groups");
    if (groups.some((one) => one.name === wanted.name && one.room === wanted.room)) throw new Error("同じ名前のグループがあります。");
    return call("POST", "/_sim/groups", { ...wanted, ...(channel ? { channel } : {}) });
  }, (text) => phone.over.say(text));
  if (!made) return;
  close();
  opened(made.id);
}

/** Show who is in the group of a chat, and let the person invite, remove the account, or leave. */
export function showMembers(chat) {
  const { members, account, count, name } = chat.content;
  const list = make("ul", "members");
  const row = (node) => { const one = make("li"); one.append(node); list.append(one); };
  if (account) row(face(account, "公式アカウント"));
  members.forEach((one) => row(face(one, one.id === chat.person.id ? "自分" : "")));
  const acts = make("div", "choices options");
  let close = () => {};
  const add = (iconName, text, work) => acts.append(button({ icon: iconName, size: 18, text, work: () => { close(); work(); } }));
  const outside = store.people.filter((one) => !members.some((member) => member.id === one.id));
  if (outside.length) add("plus", "メンバーを招待", () => showInvite(chat, outside));
  if (account) {
    add("person", `${account.name}のプロフィール`, () => chat.showProfile());
    add("close", `${account.name}を退会させる`, () => chat.inGroup("remove"));
  } else if (store.channels.length) {
    add("plus", "公式アカウントを招待", () => showInviteAccount(chat));
  }
  add("back", "グループを退会", () => quit(chat));
  const id = make("dl", "facts");
  id.append(make("dt", "", chat.content.room ? "roomId" : "groupId"), make("dd", "", chat.channel.id));
  close = chat.over.sheet(`${name} (${count})`, list, acts, id);
}

async function quit(chat) {
  await chat.inGroup("leave", { people: [chat.person.id] });
}

function showInvite(chat, people) {
  const form = make("form", "picker");
  const row = make("div", "buttons");
  row.append(make("button", "main", "招待する"));
  form.append(choosePeople(people), row);
  const close = chat.over.sheet("メンバーを招待", form);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const chosen = new FormData(form).getAll("member");
    if (!chosen.length) return;
    close();
    chat.inGroup("join", { people: chosen });
  });
}

function showInviteAccount(chat) {
  const list = make("div", "choices options");
  let close = () => {};
  store.channels.forEach((one) => {
    const node = button({ label: `${one.name}を招待`, work: () => { close(); act(() => groupVerb(chat.channel.id, "invite", { channel: one.id }), chat.complain); } });
    node.append(face(one), icon("plus", 18));
    list.append(node);
  });
  close = chat.over.sheet("公式アカウントを招待", list);
}
