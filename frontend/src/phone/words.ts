// SPDX-License-Identifier: Apache-2.0
// What does a person read when a call or a registration did not work?

const CALL_WORDS: Record<number, string> = {
  401: "This phone's password is no longer right. Reload the page to sign in again.",
  403: "You may not call this number.",
  404: "There is no such number.",
  407: "This phone's password is no longer right. Reload the page to sign in again.",
  408: "No answer.",
  410: "This number is no longer in use.",
  413: "The message is too long.",
  415: "The other phone cannot show such a message.",
  416: "That is not a number one can call.",
  480: "Not reachable: no phone of theirs is on.",
  481: "The call was no longer there.",
  482: "The call went round in a circle. Tell whoever looks after the system.",
  483: "The call went round in a circle. Tell whoever looks after the system.",
  484: "The number is not complete.",
  486: "Busy.",
  487: "",
  488: "The phones have no codec in common, or one of them insists on encryption.",
  500: "The server could not connect the call.",
  501: "The other phone does not understand that.",
  502: "The server could not connect the call.",
  503: "The server has too much to do just now. Try again in a moment.",
  504: "Whoever was asked did not answer in time.",
  600: "Busy everywhere.",
  603: "Declined.",
  604: "There is no such number anywhere.",
  606: "The phones have no codec in common, or one of them insists on encryption.",
};

/** Why a call, a transfer or a message failed. */
export function callWords(code: number, reason: string): string {
  const words = CALL_WORDS[code];
  if (words !== undefined) return words;
  const told = reason.trim();
  return told ? `${told} (${code}).` : `It did not work (${code}).`;
}

/** Why a call ended before anybody spoke, from what JsSIP calls the cause; nothing where a person did it. */
export function endWords(cause: string, code: number, reason: string, direction: "in" | "out"): string {
  if (code >= 300) return callWords(code, reason);
  if (cause === "Canceled" || cause === "Rejected") return "";
  if (direction === "in") return cause === "No Answer" || cause === "Expires" ? "Missed." : "";
  if (cause === "Connection Error") return "The connection to the server is gone.";
  if (cause === "Request Timeout") return "The server does not answer.";
  if (cause === "WebRTC Error") return "This browser could not start the sound.";
  return "";
}

/** Why the server does not take this phone, by its answer to REGISTER. */
export function registrationWords(code: number, reason: string): string {
  if (code === 401 || code === 407)
    return "The server does not accept this phone's password. It may have been removed in the console.";
  if (code === 403) return "The server does not let this phone in. It may have been removed in the console.";
  if (code === 404) return "The server does not know this number any more.";
  if (code === 429 || code === 503) return "The server has too much to do just now. The phone tries again by itself.";
  if (code === 0) return "The server does not answer the registration. The phone tries again by itself.";
  return `The server did not take the registration: ${reason.trim() || "no reason given"} (${code}).`;
}

/** Why there is no connection. */
export function connectionWords(wasOpen: boolean, isOnline: boolean): string {
  if (!isOnline) return "This device is not connected to any network. The phone comes back by itself.";
  if (wasOpen) return "The connection to the server is gone. The phone keeps trying.";
  return (
    "The server cannot be reached. Either it does not run, a firewall is in between, " +
    "or this browser does not trust its certificate. The phone keeps trying."
  );
}

/** Why there is no microphone or camera (W3C mediacapture-streams section 10.2 names the errors). */
export function deviceWords(reason: unknown, what: "microphone" | "camera"): string {
  const name = reason instanceof DOMException ? reason.name : "";
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return `The browser may not use the ${what}. Allow it behind the lock beside the address, then try again.`;
    case "NotFoundError":
      return `There is no ${what}. Plug one in, then try again.`;
    case "NotReadableError":
    case "AbortError":
      return `The ${what} does not start. Another program may be using it.`;
    case "OverconstrainedError":
      return `The chosen ${what} is not there any more. Choose another one in the settings.`;
    case "TypeError":
      return insecureWords(what);
    default:
      return `The ${what} does not work${reason instanceof Error ? `: ${reason.message}` : "."}`;
  }
}

/** Browsers give sound and pictures only to pages that came encrypted or from this very machine. */
export function insecureWords(what: "microphone" | "camera"): string {
  return `The browser gives a ${what} only to encrypted pages. Open this page with https:// in front.`;
}
