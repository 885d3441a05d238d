// A small stand-in for LINE's LIFF SDK, for apps opened through /liff/{liffId} of the simulator.
// It has init, ready, id, login, logout, isLoggedIn, isInClient, getAccessToken, getIDToken, getDecodedIDToken, getProfile,
// getFriendship, getContext, getOS, getLanguage, getAppLanguage, getVersion, getLineVersion, permission.query, sendMessages,
// openWindow, closeWindow, isApiAvailable. Every other method rejects with FORBIDDEN.
"use strict";
(() => {
  const origin = new URL(document.currentScript.src).origin;
  const HAS = new Set(["init", "login", "logout", "getProfile", "getFriendship", "sendMessages", "openWindow", "closeWindow"]);
  let session = null;
  let done;
  const ready = new Promise((resolve) => { done = resolve; });

  class LiffError extends Error {
    constructor(code, message) { super(message); this.name = "LiffError"; this.code = code; }
  }

  const place = (liffId) => `linesim.liff.${liffId}`;

  function takeSession(liffId) {
    const given = new URLSearchParams(location.hash.slice(1));
    if (given.get("liff_id") === liffId && given.get("access_token")) {
      const taken = { accessToken: given.get("access_token"), idToken: given.get("id_token"), viewType: given.get("view_type") };
      sessionStorage.setItem(place(liffId), JSON.stringify(taken));
      history.replaceState(history.state, "", location.pathname + location.search);
    }
    return JSON.parse(sessionStorage.getItem(place(liffId)) || "null");
  }

  // The secondary redirect: what was added to the LIFF URL is put behind the endpoint URL.
  function secondUrl() {
    const here = new URL(location.href);
    const state = here.searchParams.get("liff.state");
    if (!state) return null;
    here.searchParams.delete("liff.state");
    const added = new URL(state.replace(/^\/+/, ""), "https://x/");
    const base = here.pathname.replace(/\/$/, "");
    here.pathname = added.pathname === "/" ? here.pathname : base + added.pathname;
    for (const [name, value] of added.searchParams) here.searchParams.append(name, value);
    here.hash = added.hash;
    return here.href;
  }

  async function ask(path, body) {
    if (!session) throw new LiffError("UNAUTHORIZED", "Need access_token for api call, Please login first");
    const answer = await fetch(origin + path, {
      method: body ? "POST" : "GET",
      headers: { authorization: `Bearer ${session.accessToken}`, ...(body ? { "content-type": "application/json" } : {}) },
      body: body ? JSON.stringify(body) : undefined,
    });
    const content = await answer.json();
    if (!answer.ok) throw new LiffError(String(answer.status), content.message);
    return content;
  }

  function decoded(token) {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }

  async function init(config, succeeded, failed) {
    try {
      if (!config || !config.liffId) throw new LiffError("INVALID_CONFIG", "liffId is necessary for liff.init()");
      liff.id = config.liffId;
      session = takeSession(config.liffId);
      const next = secondUrl();
      if (next) { location.replace(next); return new Promise(() => {}); }
      if (!session && config.withLoginOnExternalBrowser) { liff.login(); return new Promise(() => {}); }
      done();
      if (succeeded) succeeded();
    } catch (error) {
      if (failed) failed(error);
      throw error;
    }
  }

  const liff = {
    id: null,
    ready,
    init,
    login({ redirectUri } = {}) {
      const target = encodeURIComponent(redirectUri || location.href.split("#")[0]);
      location.assign(`${origin}/liff/${liff.id}?linesim.redirectUri=${target}`);
    },
    logout() { sessionStorage.removeItem(place(liff.id)); session = null; },
    isLoggedIn: () => session !== null,
    isInClient: () => / Line\//.test(navigator.userAgent) || window.parent !== window,
    getAccessToken: () => (session ? session.accessToken : null),
    getIDToken: () => (session ? session.idToken : null),
    getDecodedIDToken: () => (session && session.idToken ? decoded(session.idToken) : null),
    getProfile: () => ask("/v2/profile"),
    getFriendship: () => ask("/friendship/v1/status"),
    sendMessages: (messages) => ask("/liff/messages", { messages }).then(() => undefined),
    getContext: () => ({
      type: liff.isInClient() ? "utou" : "external",
      liffId: liff.id,
      userId: session && session.idToken ? decoded(session.idToken).sub : undefined,
      viewType: session ? session.viewType : undefined,
    }),
    getOS: () => (/iPhone|iPad/.test(navigator.userAgent) ? "ios" : /Android/.test(navigator.userAgent) ? "android" : "web"),
    getLanguage: () => navigator.language,
    getAppLanguage: () => navigator.language,
    getVersion: () => "2.27.2",
    getLineVersion: () => (liff.isInClient() ? "15.12.0" : null),
    isApiAvailable: (name) => HAS.has(name),
    permission: { query: async () => ({ state: session ? "granted" : "unavailable" }) },
    openWindow: ({ url, external }) => window.open(url, external ? "_blank" : "_self"),
    closeWindow() {
      if (window.parent !== window) window.parent.postMessage({ linesim: "close" }, "*");
      window.close();
    },
  };

  window.liff = new Proxy(liff, {
    get(target, name) {
      if (name in target || typeof name === "symbol" || name === "then") return target[name];
      return () => Promise.reject(new LiffError("FORBIDDEN", `linesim: liff.${name}() is not implemented`));
    },
  });
})();
