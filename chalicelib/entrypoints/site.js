/* Tells Enishi which pages a person looks at who came by a link that identifies him; docs/behaviour.md.
   Nothing is kept or sent before window.enishiConsent is true, nor where the browser asks not to be tracked. */
(function (window, document) {
  "use strict";
  var script = document.currentScript;
  if (!script || !script.src || window.enishi) return;
  var KEY = "enishi.en";
  var address = new URL("site/events", script.src).href;
  var token = take();

  /* The token leaves the address bar at once: a copied address must not carry who copied it. */
  function take() {
    var here = new URL(window.location.href);
    var given = here.searchParams.get("en");
    if (given === null) return "";
    here.searchParams.delete("en");
    try { window.history.replaceState(window.history.state, "", here.href); } catch (refused) { /* a page in a frame */ }
    return given;
  }

  function store() {
    try { return window.localStorage; } catch (refused) { return null; }
  }

  function mayTrack() {
    var browser = window.navigator;
    return window.enishiConsent === true && browser.doNotTrack !== "1" && browser.globalPrivacyControl !== true;
  }

  function who() {
    var kept = store();
    if (!kept) return token;
    try {
      if (token) kept.setItem(KEY, token);
      return token || kept.getItem(KEY) || "";
    } catch (full) { return token; }
  }

  function visit(name) {
    if (!mayTrack()) return;
    var known = who();
    if (!known) return;
    var body = JSON.stringify({ token: known, name: String(name || script.getAttribute("data-name") || window.location.pathname).slice(0, 200) });
    window.fetch(address, { method: "POST", body: body, keepalive: true, credentials: "omit", headers: { "Content-Type": "text/plain" } })
      .catch(function () { /* a visit that is not counted harms nobody */ });
  }

  function consent(given) {
    window.enishiConsent = given === true;
    if (window.enishiConsent) { visit(); return; }
    token = "";
    var kept = store();
    if (kept) kept.removeItem(KEY);
  }

  window.enishi = { visit: visit, consent: consent };
  visit();
})(window, document);
