// SPDX-License-Identifier: Apache-2.0
// Where does somebody go who has signed in? To a page of ours; what somebody else wrote into the link leads nowhere.

/** A path that begins with two slashes names another site as soon as it is read again: "/.//evil.example". */
export function pageOfOurs(wanted: string | null, origin: string): string {
  const path = wanted ?? "/";
  const url = URL.canParse(path, origin) ? new URL(path, origin) : null;
  const isOurs = url !== null && path.startsWith("/") && url.origin === origin && !url.pathname.startsWith("//");
  return isOurs ? url.pathname + url.search : "/";
}
