// SPDX-License-Identifier: Apache-2.0
// The phone page begins here.
import "$lib/base.css";
import { whenSignedOut } from "$lib/api";
import { mount } from "svelte";
import App from "./App.svelte";
import { type Page, PAGES, Phone } from "./phone.svelte";

function isPage(name: string | null): boolean {
  return (PAGES as readonly (string | null)[]).includes(name);
}

const phone = new Phone();
const asked = new URLSearchParams(location.search);
if (isPage(asked.get("page"))) phone.page = asked.get("page") as Page;
// A link may fill in the number; it takes a person to press the button.
phone.dialled = (asked.get("to") ?? "").slice(0, 200);
whenSignedOut(() => (phone.isSignedOut = true));
mount(App, { target: document.getElementById("app") as HTMLElement, props: { phone } });
void phone.begin();

// Installed as an app it starts without waiting for the network; answers of the server are never kept.
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  void navigator.serviceWorker.register("/phone-worker.js", { scope: "/phone" }).catch(() => {});
}
