// SPDX-License-Identifier: Apache-2.0
// Where does everything stand on a ladder? Pure sums: columns across, rows down in the order of time.
import type { Arrow, CallNote, Column, Lane, Picture, TraceMessage } from "$lib/types";

/** Measures in pixels; `LETTER` is the width of one letter of a label, on the safe side. */
export const TIMES = 74;
const EDGE = 78;
const LEAST_SPACING = 148;
const MOST_SPACING = 330;
const LETTER = 6.9;
const ARROW_HEIGHT = 32;
const NOTE_HEIGHT = 14;
const SMALL_HEIGHT = 26;
const SOUND_HEIGHT = 70;
const MARGIN = 10;
/** Silence that is worth a line of its own, in seconds. */
const PAUSE = 1;
/** The ACK and what both sides say at once after the answer stand before the sound. */
const SETTLING = 0.5;

export type Placed = Column & { x: number };
export type ArrowRow = { kind: "arrow"; at: number; y: number; height: number; arrow: Arrow; from: number; to: number; label: string; note: string };
export type SoundRow = { kind: "sound"; at: number; y: number; height: number; lanes: PlacedLane[] };
export type SmallRow = { kind: "pause" | "event"; at: number; y: number; height: number; text: string };
export type Row = ArrowRow | SoundRow | SmallRow;
export type PlacedLane = { lane: Lane; number: number; left: number; right: number };
/** Where sound flows beside the arrows, and where it is on hold. */
export type Band = { left: number; right: number; top: number; bottom: number; held: boolean };
export type Layout = { width: number; height: number; columns: Placed[]; rows: Row[]; bands: Band[] };

type Event = { at: number; order: number } & ({ arrow: Arrow } | { lanes: [Lane, number][] } | { note: CallNote });

export function layout(picture: Picture, notes: readonly CallNote[], width: number): Layout {
  const columns = placed(picture.columns, width);
  const middle = columns.find((column) => column.id === "server")?.x ?? TIMES + EDGE;
  const place = (id: string) => columns.find((column) => column.id === id)?.x ?? middle;
  const rows: Row[] = [];
  let y = MARGIN;
  const add = (row: Row) => {
    rows.push(row);
    y += row.height;
  };
  let before = 0;
  for (const event of inOrder(picture, notes)) {
    if (before && event.at - before >= PAUSE) add({ kind: "pause", at: before, y, height: SMALL_HEIGHT, text: pause(event.at - before) });
    before = Math.max(before, event.at);
    if ("arrow" in event) add(arrowRow(event.arrow, y, place(event.arrow.from), place(event.arrow.to)));
    else if ("note" in event) add({ kind: "event", at: event.at, y, height: SMALL_HEIGHT, text: event.note.text });
    else add({ kind: "sound", at: event.at, y, height: SOUND_HEIGHT, lanes: event.lanes.map(([lane, number]) => placedLane(lane, number, place)) });
  }
  const height = y + MARGIN;
  const right = Math.max(width, (columns.at(-1)?.x ?? 0) + EDGE);
  return { width: right, height, columns, rows, bands: bandsOf(rows, height - MARGIN) };
}

/** The arrow of a message: its own, or the one it was folded into because it was the same sent again. */
export function arrowOf(index: number, arrows: readonly Arrow[], messages: readonly TraceMessage[]): Arrow | undefined {
  const own = arrows.find((arrow) => arrow.index === index);
  const message = messages[index];
  if (own || !message) return own;
  return arrows.findLast((arrow) => {
    const first = arrow.index === null || arrow.index === undefined ? undefined : messages[arrow.index];
    return first && arrow.index! < index && first.direction === message.direction && first.remote === message.remote && first.text === message.text;
  });
}

/** A label that fits: first without the method that a response answers, then cut. */
export function fitting(label: string, space: number): string {
  const most = Math.max(6, Math.floor(space / LETTER));
  if (label.length <= most) return label;
  const shorter = label.replace(/ \([A-Z]{2,12}\)/, "");
  return shorter.length <= most ? shorter : `${shorter.slice(0, most - 1).trimEnd()}…`;
}

function placed(columns: readonly Column[], width: number): Placed[] {
  const gaps = Math.max(1, columns.length - 1);
  const spacing = Math.min(MOST_SPACING, Math.max(LEAST_SPACING, (width - TIMES - 2 * EDGE) / gaps));
  const spare = Math.max(0, width - TIMES - 2 * EDGE - spacing * gaps) / 2;
  return columns.map((column, index) => ({ ...column, x: Math.round(TIMES + EDGE + spare + index * spacing) }));
}

function inOrder(picture: Picture, notes: readonly CallNote[]): Event[] {
  const arrows: Event[] = picture.arrows.map((arrow, order) => ({ at: arrow.at, order, arrow }));
  const told: Event[] = notes.map((note, index) => ({ at: note.at, order: arrows.length + index, note }));
  const all = [...arrows, ...told].sort((one, other) => one.at - other.at || one.order - other.order);
  for (const event of soundsOf(picture.lanes)) {
    const after = all.findIndex((other) => other.at > event.at + SETTLING);
    const place = after < 0 ? all.length : after;
    // it is told at the time of what it follows: no pause is seen between the two
    all.splice(place, 0, { ...event, at: all[place - 1]?.at ?? event.at });
  }
  return all;
}

/** Lanes that begin together and do not cover each other share a row. */
function soundsOf(lanes: readonly Lane[]): (Event & { lanes: [Lane, number][] })[] {
  const rows: (Event & { lanes: [Lane, number][] })[] = [];
  for (const [number, lane] of lanes.entries()) {
    if (lane.began === null || lane.began === undefined) continue;
    const peer = lane.from === "server" ? lane.to : lane.from;
    const row = rows.find(
      (each) => Math.abs(each.at - lane.began!) < SETTLING && each.lanes.every(([other]) => other.from !== peer && other.to !== peer && [lane.from, lane.to].includes("server")),
    );
    if (row) row.lanes.push([lane, number]);
    else rows.push({ at: lane.began, order: 0, lanes: [[lane, number]] });
  }
  return rows.sort((one, other) => one.at - other.at);
}

function arrowRow(arrow: Arrow, y: number, from: number, to: number): ArrowRow {
  const space = Math.abs(to - from) - 26;
  const note = arrow.note ? fitting(arrow.note, space + 18) : "";
  const room = arrow.repeats > 0 ? space - 34 : space;
  return { kind: "arrow", at: arrow.at, y, height: ARROW_HEIGHT + (note ? NOTE_HEIGHT : 0), arrow, from, to, label: fitting(arrow.label, room), note };
}

function placedLane(lane: Lane, number: number, place: (id: string) => number): PlacedLane {
  const ends = [place(lane.from), place(lane.to)];
  return { lane, number, left: Math.min(...ends), right: Math.max(...ends) };
}

function bandsOf(rows: readonly Row[], bottom: number): Band[] {
  const bands: Band[] = [];
  /** The top of what comes after this moment. */
  const below = (at: number) => rows.find((row) => row.at > at && row.kind !== "sound" && row.kind !== "pause")?.y ?? bottom;
  for (const row of rows) {
    if (row.kind !== "sound") continue;
    for (const { lane, left, right } of row.lanes) {
      const top = row.y + row.height;
      const ended = lane.ended ?? null;
      const end = ended === null ? bottom : Math.max(top, below(ended - 0.05));
      if (end > top) bands.push({ left, right, top, bottom: end, held: false });
      for (const [from, to] of lane.held) {
        if (typeof from !== "number") continue;
        const [begin, over] = [Math.max(top, below(from)), typeof to === "number" ? Math.min(end, below(to)) : end];
        if (over > begin) bands.push({ left, right, top: begin, bottom: over, held: true });
      }
    }
  }
  return bands;
}

function pause(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
