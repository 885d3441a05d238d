// Doing things in groups, which is done under /_sim/groups/.
import { call } from "./api.js";

/** Let something happen in a group: invite, remove, join, leave, say, unsend, tap, read. */
export function groupVerb(group, name, body) {
  return call("POST", `/_sim/groups/${encodeURIComponent(group)}/${name}`, body);
}

/** Say whether an id is that of a group or room. */
export function isGroup(id) {
  return /^[CR][0-9a-f]{32}$/.test(String(id || ""));
}

/**
 * Return whom a text mentions, in the order of the text, as `names` for the simulator: each {name, key} of `candidates`
 * that stands there as @name. Of names that begin alike the longest counts.
 */
export function mentionsIn(text, candidates) {
  const known = [...candidates].sort((a, b) => b.name.length - a.name.length);
  const low = text.toLowerCase();
  const found = [];
  for (let at = low.indexOf("@"); at >= 0; at = low.indexOf("@", at + 1)) {
    const one = known.find(({ name }) => low.startsWith(name.toLowerCase(), at + 1));
    if (!one) continue;
    found.push(one.key);
    at += one.name.length;
  }
  return found;
}
