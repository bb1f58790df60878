// SPDX-License-Identifier: Apache-2.0
// How did a call end, in a word and a tone?
import type { Call } from "$lib/types";

export type Tone = "plain" | "good" | "busy" | "bad" | "note";

const RESULTS: Record<string, [string, Tone]> = {
  answered: ["Answered", "good"],
  busy: ["Busy", "busy"],
  "no answer": ["No answer", "busy"],
  declined: ["Declined", "busy"],
  cancelled: ["Cancelled", "plain"],
  failed: ["Failed", "bad"],
  refused: ["Refused", "bad"],
};

const STATES: Record<string, [string, Tone]> = {
  ringing: ["Ringing", "busy"],
  talking: ["Talking", "good"],
  held: ["On hold", "note"],
};

export const CHOICES: [string, string][] = [["", "All results"], ...Object.entries(RESULTS).map(([key, [text]]): [string, string] => [key, text])];

export function result(call: Call): [string, Tone] {
  if (call.state !== "ended") return STATES[call.state] ?? ["On", "note"];
  return RESULTS[call.result] ?? ["Ended", "plain"];
}

export function seconds(call: Call, now: number): number {
  if (!call.answered_at) return call.ended_at === null ? now - call.began_at : 0;
  return (call.ended_at ?? now) - call.answered_at;
}

export function party(who: { number: string; name: string }, otherwise = "Unknown"): string {
  return who.name || who.number || otherwise;
}
