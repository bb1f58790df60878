// SPDX-License-Identifier: Apache-2.0
// How are the numbers of a call said? Times within it, how good the sound is, who stood at an end of an arrow.
import type { Arrow, Call, Column, Lane, Leg, TraceMessage } from "$lib/types";
import type { Tone } from "../parts/result";

const clockTime = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });

/** "+0.024", "+1:03.5": how long after the first message. */
export function offset(seconds: number): string {
  if (seconds < 60) return `+${seconds.toFixed(3)}`;
  const minutes = Math.floor(seconds / 60);
  return `+${minutes}:${(seconds - minutes * 60).toFixed(1).padStart(4, "0")}`;
}

/** "12:03:22.123". */
export function moment(at: number): string {
  return clockTime.format(new Date(at * 1000));
}

export function quality(mos: number | null | undefined): [string, Tone] {
  if (typeof mos !== "number") return ["not measured", "plain"];
  if (mos >= 4) return ["very good", "good"];
  if (mos >= 3.6) return ["good", "good"];
  if (mos >= 3.1) return ["fair", "busy"];
  return mos >= 2.6 ? ["poor", "bad"] : ["bad", "bad"];
}

export function percent(value: number | null | undefined): string {
  return typeof value === "number" ? `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} %` : "–";
}

export function milliseconds(value: number | null | undefined): string {
  return typeof value === "number" ? `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ms` : "–";
}

export function nameOf(id: string, columns: readonly Column[]): string {
  const column = columns.find((each) => each.id === id);
  return column ? column.label || column.address : id;
}

export function spoken(arrow: Arrow, columns: readonly Column[]): string {
  const again = arrow.repeats > 0 ? `, sent again ${arrow.repeats === 1 ? "once" : `${arrow.repeats} times`}` : "";
  const note = arrow.note && !arrow.note.startsWith("sent again") ? `, ${arrow.note.split("; sent again")[0]}` : "";
  return `${offset(arrow.offset)} s, ${nameOf(arrow.from, columns)} to ${nameOf(arrow.to, columns)}: ${arrow.label}${note}${again}`;
}

/** Whose sound a lane is: "101 Anna". */
export function legName(name: string, legs: readonly Leg[]): string {
  if (name === "direct") return "Between the phones";
  const leg = legs.find((each) => each.name === name);
  if (!leg) return name;
  return [leg.number, leg.display === leg.number ? "" : leg.display].filter(Boolean).join(" ") || leg.address || name;
}

export function soundOf(lane: Lane): string {
  const parts = [lane.codec || "sound", typeof lane.mos === "number" ? `MOS ${lane.mos.toFixed(1)}` : ""];
  return parts.filter(Boolean).join(" · ");
}

/** Where the sound of the call went, for people. */
export function soundPath(call: Call): string {
  if (call.anchored) return "through this server";
  if (call.mode === "application") return "with this server";
  if (!call.answered_at) return "";
  return "directly between the phones";
}

export function fromTo(message: TraceMessage): [string, string] {
  return message.direction === "received" ? [message.remote, message.local] : [message.local, message.remote];
}
