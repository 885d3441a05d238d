// The profile of an account: picture, id, friends, what this person is to it, its plans and coupons.
import { ask, call, path } from "./api.js";
import { avatar, button, make } from "./dom.js";
import { store } from "./store.js";

const WORDS = { friend: "友だち", blocked: "ブロック中", none: "友だちではありません" };
const CURRENCIES = { JPY: "ja-JP", TWD: "zh-TW", THB: "th-TH" };

/** Show the profile of an account on the phone of a chat. account: a channel. */
export function showProfile(chat, account) {
  const body = make("div", "profile");
  const close = chat.over.sheet("プロフィール", body);
  const draw = async () => {
    const query = { channel: account.id };
    const [content, plans, coupons, channels] = await Promise.all([
      call("GET", path("/_sim/chats", { ...query, person: chat.person.id })),
      ask(path("/_sim/memberships", query), { memberships: [] }),
      ask(path("/_sim/coupons", query), { coupons: [] }),
      call("GET", "/_sim/channels"),
    ]);
    const channel = channels.channels.find((one) => one.id === account.id) || account;
    const view = { chat, channel, content, close, act: (name, extra) => chat.toAccount(account, name, extra).then(draw) };
    body.replaceChildren(head(view), ...acts(view), ...memberships(view, plans.memberships), ...couponList(view, coupons.coupons), facts(view));
  };
  draw().catch((error) => chat.complain(error.message));
}

function head({ channel, content }) {
  const node = make("div", "profilehead");
  const words = make("div");
  const name = make("h3", "", channel.name);
  if (channel.verified) name.append(make("small", "verified", "認証済"));
  words.append(name, make("p", "hint", `${channel.basicId} ・ 友だち ${Number(channel.friends || 0).toLocaleString("ja-JP")}人`),
    make("p", `relation ${content.status}`, WORDS[content.status] || content.status));
  node.append(avatar(channel.name, channel.pictureUrl, "avatar huge"), words);
  return node;
}

function acts({ content, close, act, chat }) {
  const row = make("div", "buttons");
  const add = (text, className, work) => row.append(button({ text, className, work }));
  if (content.status === "none") add("友だち追加", "main", () => act("follow"));
  if (content.status === "blocked") add("ブロック解除", "main", () => act("unblock"));
  if (content.status === "friend") add("トーク", "main", () => { close(); chat.talkTo(); });
  if (content.status !== "blocked") add("ブロック", "", () => act("block"));
  return [row];
}

function price(plan) {
  return new Intl.NumberFormat(CURRENCIES[plan.currency] || "ja-JP", { style: "currency", currency: plan.currency }).format(plan.price);
}

function memberships(view, plans) {
  const { content, act } = view;
  const shown = plans.filter((one) => one.isPublished || one.members[content.userId]);
  if (!shown.length) return [];
  const cards = shown.map((plan) => {
    const member = plan.members[content.userId];
    const isFull = plan.memberLimit !== null && plan.memberCount >= plan.memberLimit;
    const node = make("section", "plan");
    node.setAttribute("aria-label", plan.title);
    const title = make("h4", "", plan.title);
    title.append(make("span", "price", `${price(plan)} / 月`));
    const benefits = make("ul");
    plan.benefits.forEach((one) => benefits.append(make("li", "", one)));
    const state = member ? `会員番号 ${member.no} ・ ${member.months}か月目` : isFull ? "満員です" : `メンバー ${plan.memberCount}人`;
    const row = make("div", "buttons");
    const add = (text, label, className, name) => row.append(button({ text, label, className, work: () => act(name, { membershipId: plan.membershipId }) }));
    if (member) {
      add("1か月更新する", `${plan.title}を1か月更新する`, "", "renew_membership");
      add("退会する", `${plan.title}を退会する`, "", "leave_membership");
    } else if (!isFull && plan.isPublished) {
      add("加入する", `${plan.title}に加入する`, "main", "join_membership");
    }
    node.append(title, ...(plan.description ? [make("p", "", plan.description)] : []), benefits, make("p", "hint", state), row);
    return node;
  });
  return [make("h3", "", "メンバーシップ"), ...cards];
}

function couponList({ content, chat, channel }, coupons) {
  const shown = coupons.filter((one) => content.userId in one.tickets || (one.visibility === "PUBLIC" && one.status === "RUNNING"));
  if (!shown.length) return [];
  const list = make("div", "choices options");
  shown.forEach((one) => {
    const uses = one.tickets[content.userId];
    const node = button({ icon: "ticket", text: one.title, work: () => showCoupon(chat, channel, one.couponId) });
    node.append(make("small", "hint", one.status !== "RUNNING" ? "終了" : uses === undefined ? "" : uses ? `使用済み（${uses}回）` : "受け取り済み"));
    list.append(node);
  });
  return [make("h3", "", "クーポン"), list];
}

function facts({ channel, content }) {
  const node = make("dl", "facts");
  [["ベーシックID", channel.basicId], ["ユーザーID", content.userId || "まだありません"], ["プロバイダー", channel.provider]]
    .forEach(([name, value]) => node.append(make("dt", "", name), make("dd", "", value)));
  return node;
}

/** Return what an account's coupon says; nothing when it is unknown. */
export async function couponOf(account, couponId) {
  const { coupons } = await ask(path("/_sim/coupons", { channel: account.id }), { coupons: [] });
  return coupons.find((one) => one.couponId === couponId) || {};
}

/** Show one coupon, to take and use it. */
export async function showCoupon(chat, account, couponId) {
  const coupon = await couponOf(account, couponId);
  const list = make("div", "choices options");
  const add = (text, name, say) => list.append(button({ text, work: async () => {
    close();
    const told = await chat.toAccount(account, name, { couponId });
    if (told) chat.over.say(say(told));
  } }));
  add("受け取る", "take_coupon", (told) => (told.taken ? "クーポンを受け取りました。" : "残念ながら、はずれです。"));
  add("使う", "use_coupon", (told) => `クーポンを使いました（${told.uses}回目）。`);
  const close = chat.over.sheet(coupon.title || "クーポン", make("p", "hint", coupon.description || couponId || ""), list);
}

/** Return the channel that the store knows by this id, or what was given. */
export function known(account) {
  return store.channels.find((one) => one.id === account.id) || account;
}
