// What the page knows about the simulator, and how its parts reach each other.
import { call } from "./api.js";

export const store = {
  channels: [],
  people: [],
  names: {},
  /** Names of groups by id, as far as phones on the table are in them. */
  groups: {},
  showJson: false,
  clock: { epoch: Date.now() / 1000, scale: 1, heard: Date.now() },
  /** Ask again for everything on show. */
  refresh: async () => {},
  /** Tell the person at the page a sentence; empty takes it away. */
  notice: () => {},
};

export const channelOf = (id) => store.channels.find((one) => one.id === id);
export const personOf = (id) => store.people.find((one) => one.id === id);

/** Return the simulated now. */
export function now() {
  const { epoch, scale, heard } = store.clock;
  return new Date(epoch * 1000 + (Date.now() - heard) * scale);
}

/** Load accounts, people and the clock. */
export async function load() {
  const [channels, people, clock] = await Promise.all([
    call("GET", "/_sim/channels"), call("GET", "/_sim/people?limit=300"), call("GET", "/_sim/clock"),
  ]);
  store.channels = channels.channels;
  store.people = people.people;
  store.clock = { epoch: clock.epoch, scale: clock.scale, heard: Date.now() };
  store.names = {};
  for (const person of store.people) {
    for (const userId of Object.values(person.userIds || {})) store.names[userId] = person.name;
  }
}

/** Do something and show what came of it; a failure becomes a sentence on the page. */
export async function act(work, complain = store.notice) {
  let result;
  try {
    store.notice("");
    result = await work();
  } catch (error) {
    complain(`操作できませんでした。${error.message}`);
  }
  await store.refresh().catch(() => {});
  return result;
}

/** Keep or read a small value in this browser. */
export const memory = {
  get(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`linesim.${key}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(key, value) {
    localStorage.setItem(`linesim.${key}`, JSON.stringify(value));
  },
};
