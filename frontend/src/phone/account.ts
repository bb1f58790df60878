// SPDX-License-Identifier: Apache-2.0
// With which credentials does this browser register? The server mints them for the person who is signed in.
import { api, Problem, useCsrf } from "$lib/api";
import { keep, kept } from "./keeping";
import type { Account } from "./line";

interface Minted {
  number: string;
  name: string;
  uri: string;
  ws: string;
  realm: string;
  ha1: string;
  device: string;
  domain: string;
  ice_servers: RTCIceServer[];
}

interface MintedForGuest extends Minted {
  target: string;
  target_name?: string;
}

/** The credentials live in this page's memory only; what is kept is the device's id, so that the next visit gets
 *  a new secret for the same device and not one device more. */
export async function mintAccount(): Promise<Account> {
  if (!(await useSession())) throw new Problem(401, "Sign in to use the phone.");
  const minted = await api.post<Minted>("/phone", { device: kept("device", ""), name: browserName() });
  keep("device", minted.device);
  return accountOf(minted, true);
}

/** A guest needs no session; who has one proves that this page may use it. */
export async function mintGuest(page: string): Promise<{ account: Account; target: string; name: string }> {
  await useSession();
  const minted = await api.post<MintedForGuest>(`/guest/${encodeURIComponent(page)}`, {}, { quiet: true });
  return { account: accountOf(minted, false), target: minted.target, name: minted.target_name ?? "" };
}

async function useSession(): Promise<boolean> {
  const { person, csrf } = await api.get<{ person: unknown; csrf: string }>("/session", {}, { quiet: true });
  useCsrf(csrf);
  return person !== null;
}

function accountOf(minted: Minted, isReachable: boolean): Account {
  return {
    uri: minted.uri,
    name: minted.name,
    number: minted.number,
    domain: minted.domain,
    ws: addressOf(minted.ws),
    realm: minted.realm,
    ha1: minted.ha1,
    iceServers: minted.ice_servers ?? [],
    isReachable,
  };
}

/** A path means this very server: the page's own address and certificate are known to work. */
function addressOf(ws: string): string {
  if (!ws.startsWith("/")) return ws;
  return `${location.protocol === "http:" ? "ws" : "wss"}://${location.host}${ws}`;
}

function browserName(): string {
  const told = navigator.userAgent;
  const browser = /Edg\//.test(told)
    ? "Edge"
    : /Firefox\//.test(told)
      ? "Firefox"
      : /Chrome\//.test(told)
        ? "Chrome"
        : /Safari\//.test(told)
          ? "Safari"
          : "Browser";
  const system = /Android/.test(told)
    ? "Android"
    : /iPhone|iPad/.test(told)
      ? "iOS"
      : /Windows/.test(told)
        ? "Windows"
        : /Mac OS/.test(told)
          ? "macOS"
          : /Linux/.test(told)
            ? "Linux"
            : "";
  return system ? `${browser} on ${system}` : browser;
}
