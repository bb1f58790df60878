// SPDX-License-Identifier: Apache-2.0
// Which pages does the console have? One row a page: its address, its place in the menu, who may see it, its file.
import type { Component } from "svelte";
import type { IconName } from "$lib/components/icons";
import type { Role } from "$lib/types";

export type Params = Record<string, string>;
type Loaded = { default: Component<{ params: Params }> };

export type Page = {
  path: string;
  title: string;
  role: Role;
  load: () => Promise<unknown>;
  icon?: IconName;
  /** the key after "g" that leads here */
  key?: string;
  group?: "office" | "care" | "more";
};

export const PAGES: Page[] = [
  { path: "/", title: "Home", icon: "home", key: "h", group: "office", role: "person", load: () => import("./home/Home.svelte") },
  { path: "/calls", title: "Calls", icon: "calls", key: "c", group: "office", role: "operator", load: () => import("./calls/Calls.svelte") },
  { path: "/calls/:id", title: "Call", role: "operator", load: () => import("./call/CallPage.svelte") },
  { path: "/people", title: "People", icon: "people", key: "p", group: "office", role: "operator", load: () => import("./people/People.svelte") },
  { path: "/people/:number", title: "Person", role: "operator", load: () => import("./people/Person.svelte") },
  { path: "/phones", title: "Phones", icon: "phones", key: "r", group: "office", role: "operator", load: () => import("./phones/Phones.svelte") },
  { path: "/office", title: "Office", icon: "office", key: "o", group: "care", role: "admin", load: () => import("./office/OfficePage.svelte") },
  { path: "/system", title: "System", icon: "system", key: "s", group: "care", role: "operator", load: () => import("./system/System.svelte") },
  { path: "/settings", title: "Settings", icon: "settings", key: "e", group: "care", role: "admin", load: () => import("./settings/Settings.svelte") },
  { path: "/guests", title: "Guest pages", icon: "guest", key: "u", group: "more", role: "admin", load: () => import("./guests/Guests.svelte") },
  { path: "/webhooks", title: "Webhooks", icon: "webhook", key: "w", group: "more", role: "admin", load: () => import("./webhooks/Webhooks.svelte") },
  { path: "/audit", title: "Who changed what", icon: "audit", key: "l", group: "more", role: "admin", load: () => import("./audit/Audit.svelte") },
  { path: "/diagnostics", title: "Diagnostics", role: "person", load: () => import("./call/Manual.svelte") },
  { path: "/account", title: "Your account", icon: "account", key: "a", role: "person", load: () => import("./account/AccountPage.svelte") },
];

/** Pages for those who are not signed in: no menu around them. */
export const DOORS: Page[] = [
  { path: "/login", title: "Sign in", role: "person", load: () => import("./door/Login.svelte") },
  { path: "/setup/:token", title: "Set up", role: "person", load: () => import("./setup/Setup.svelte") },
  { path: "/setup", title: "Set up", role: "person", load: () => import("./setup/Setup.svelte") },
  { path: "/invite/:token", title: "Welcome", role: "person", load: () => import("./door/Invite.svelte") },
];

export function find(pages: readonly Page[], path: string): { page: Page; params: Params } | null {
  for (const page of pages) {
    const params = matched(page.path, path);
    if (params) return { page, params };
  }
  return null;
}

export const loaded = (page: Page): Promise<Loaded> => page.load() as Promise<Loaded>;

function matched(pattern: string, path: string): Params | null {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return null;
  const params: Params = {};
  for (const [index, part] of wanted.entries()) {
    const there = given[index]!;
    if (part.startsWith(":")) {
      try {
        params[part.slice(1)] = decodeURIComponent(there);
      } catch {
        return null;
      }
    } else if (part !== there) return null;
  }
  return params;
}
