// SPDX-License-Identifier: Apache-2.0
// What makes the phone start at once, as an installed app? Its files are kept; no answer of the server ever is.
const STORE = "ringback-phone-1";
const PAGE = "/phone";
const MOST = 60;

self.addEventListener("install", () => self.skipWaiting());

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((name) => name.startsWith("ringback-phone-") && name !== STORE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate" && (url.pathname === PAGE || url.pathname.startsWith(PAGE + "/"))) {
    event.respondWith(freshPage(request));
  } else if (url.pathname.startsWith("/assets/")) {
    event.respondWith(keptFile(request)); // their names hold a hash of what is in them
  }
  // everything else, /api/ and /events first of all, goes to the network as if this worker were not there
});

/** The page itself comes from the server; the kept one stands in while the server is away. */
async function freshPage(request) {
  const store = await caches.open(STORE);
  try {
    const answer = await fetch(request);
    if (answer.ok && !answer.redirected) await store.put(PAGE, answer.clone());
    return answer;
  } catch (reason) {
    const kept = await store.match(PAGE);
    if (kept) return kept;
    throw reason;
  }
}

async function keptFile(request) {
  const store = await caches.open(STORE);
  const kept = await store.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok && answer.type === "basic") {
    await store.put(request, answer.clone());
    const names = await store.keys();
    // files of old versions leave, the oldest first
    for (const name of names.slice(0, Math.max(0, names.length - MOST))) {
      if (new URL(name.url).pathname !== PAGE) await store.delete(name);
    }
  }
  return answer;
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    self.clients.matchAll({ type: "window" }).then((pages) => {
      const phone = pages.find(({ url }) => new URL(url).pathname.startsWith(PAGE));
      return phone ? phone.focus() : self.clients.openWindow(PAGE);
    }),
  );
});
