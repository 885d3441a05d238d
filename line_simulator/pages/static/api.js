// Talking to the simulator, which is only ever done through /_sim/.

/** Call the simulator. Throws an Error whose message is a sentence. */
export async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  const content = await answer.json();
  if (!answer.ok) {
    const error = new Error(content.message || String(answer.status));
    error.status = answer.status;
    throw error;
  }
  return content;
}

/** Return a path with a query. */
export function path(base, query) {
  return `${base}?${new URLSearchParams(query)}`;
}

/** Let a person do something. */
export function verb(person, channel, name, body = {}) {
  return call("POST", `/_sim/people/${encodeURIComponent(person)}/${name}`, { channel, ...body });
}

/** Return what GET answers, or `otherwise` where this simulator does not know the path. */
export async function ask(where, otherwise) {
  try {
    return await call("GET", where);
  } catch (error) {
    if (error.status === 404 || error.status === 501) return otherwise;
    throw error;
  }
}

/** Return a file's bytes as Base64. */
export async function base64(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let start = 0; start < bytes.length; start += 32768) binary += String.fromCharCode(...bytes.subarray(start, start + 32768));
  return btoa(binary);
}

/** Call `changed` at once and then whenever something happened in the simulator; `lost` while it cannot be reached. */
export async function follow(changed, lost) {
  let since = "";
  for (;;) {
    try {
      const { version } = await call("GET", path("/_sim/version", { since, wait: "20" }));
      if (version !== since) {
        since = version;
        await changed();
      }
      lost(false);
    } catch {
      lost(true);
      since = "";
      await new Promise((go) => setTimeout(go, 1000));
    }
    // Under load every call is news; a person cannot see more than a few pictures a second.
    await new Promise((go) => setTimeout(go, 120));
  }
}
