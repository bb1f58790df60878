// SPDX-License-Identifier: Apache-2.0
// What is what in the text of a message? Lines with a name and a value; what one cannot see is made visible.

export type Line = { kind: "start" | "header" | "blank" | "sdp" | "media" | "text"; name: string; value: string; hidden: boolean };

/** Struck out by the server before anybody sees it. */
const STRUCK_OUT = "(hidden";
const MOST_LINES = 2000;

/** Control characters, and those that turn the direction of writing: a stranger must not rearrange the page. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

export function visible(text: string): string {
  return text.replace(UNSEEN, (letter) => `⟨${letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

export function tinted(text: string): Line[] {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  while (lines.length > 0 && lines.at(-1) === "") lines.pop();
  const end = lines.indexOf("");
  const isSdp = end >= 0 && /^v=0\s*$/.test(lines[end + 1] ?? "");
  return lines.slice(0, MOST_LINES).map((raw, index) => {
    const kind = kindOf(raw, index, end, isSdp);
    const shown = visible(raw);
    const cut = kind === "header" ? shown.indexOf(":") + 1 : kind === "sdp" || kind === "media" ? 2 : 0;
    return { kind, name: shown.slice(0, cut), value: shown.slice(cut), hidden: raw.includes(STRUCK_OUT) };
  });
}

function kindOf(raw: string, index: number, end: number, isSdp: boolean): Line["kind"] {
  if (index === 0) return "start";
  if (index === end) return "blank";
  if (end >= 0 && index > end) {
    if (!isSdp || !/^[a-z]=/.test(raw)) return "text";
    return raw.startsWith("m=") ? "media" : "sdp";
  }
  return /^[A-Za-z0-9.!%*_+`'~-]+[ \t]*:/.test(raw) ? "header" : "text";
}
