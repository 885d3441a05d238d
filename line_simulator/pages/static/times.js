// Japanese words for instants. Everything is shown in Japan time, whatever this browser's zone is.

const ZONE = "Asia/Tokyo";
const clockFormat = new Intl.DateTimeFormat("ja-JP", { timeZone: ZONE, hour: "2-digit", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat("ja-JP", { timeZone: ZONE, month: "numeric", day: "numeric", weekday: "short" });
const fullFormat = new Intl.DateTimeFormat("ja-JP", {
  timeZone: ZONE, year: "numeric", month: "2-digit", day: "2-digit", weekday: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const keyFormat = new Intl.DateTimeFormat("sv-SE", { timeZone: ZONE });

/** Return the Date of an instant given as epoch seconds or ISO text. */
export function instant(at) {
  return typeof at === "number" ? new Date(at * 1000) : new Date(at);
}

export const hourMinute = (date) => clockFormat.format(date);
export const full = (date) => fullFormat.format(date);
export const dayKey = (date) => keyFormat.format(date);

/** Return 今日, 昨日 or the date, seen from `now`. */
export function day(date, now) {
  const key = dayKey(date);
  if (key === dayKey(now)) return "今日";
  if (key === dayKey(new Date(now.getTime() - 86400000))) return "昨日";
  return dayFormat.format(date);
}

/** Return the time for today, the day for earlier, as lists of chats show it. */
export function brief(date, now) {
  return dayKey(date) === dayKey(now) ? hourMinute(date) : day(date, now);
}
