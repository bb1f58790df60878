// SPDX-License-Identifier: Apache-2.0
// Is the server well? Each row looks at one thing and says in words what it found, and what to do.
import type { SystemState } from "$lib/types";
import { bytes, day, length } from "$lib/words";

export type Check = { name: string; tone: "good" | "busy" | "bad"; text: string };

const DAY = 86_400;
const LOW_DISK = 0.1;

type Counters = Record<string, unknown>;
const number = (value: unknown): number => (typeof value === "number" ? value : 0);
const inner = (value: unknown): Counters => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Counters) : {});
const list = (value: unknown): Counters[] => (Array.isArray(value) ? value.map(inner) : []);

export function checks(state: SystemState, now: number): Check[] {
  return [certificate(state, now), disk(state), store(state), load(state), processes(state)];
}

function certificate({ certificate: it }: SystemState, now: number): Check {
  const name = "Certificate";
  if (it.problem) return { name, tone: "bad", text: it.problem };
  if (!it.expires_at) return { name, tone: "good", text: it.issuer ? `From ${it.issuer}.` : "In use." };
  const left = it.expires_at - now;
  const whose = it.source ? ` (${it.source})` : "";
  if (left <= 0) return { name, tone: "bad", text: `It ended on ${day(it.expires_at)}: phones and browsers refuse it.` };
  if (left < 14 * DAY) return { name, tone: "busy", text: `It ends in ${length(left)}${whose}.` };
  return { name, tone: "good", text: `Good until ${day(it.expires_at)}${whose}.` };
}

function disk({ disk: it }: SystemState): Check {
  const name = "Disk";
  if (!it.total) return { name, tone: "busy", text: "Its size could not be read." };
  const text = `${bytes(it.free)} free of ${bytes(it.total)}; the database takes ${bytes(it.database)}${it.recordings ? `, recordings ${bytes(it.recordings)}` : ""}.`;
  return { name, tone: it.free / it.total < LOW_DISK ? "busy" : "good", text };
}

function store({ store: it }: SystemState): Check {
  const name = "Database";
  const failure = it["failure"];
  if (typeof failure === "string" && failure) return { name, tone: "bad", text: failure };
  if (number(it["dropped"]) > 0) return { name, tone: "busy", text: `${number(it["dropped"])} writes were given up while the disk was too slow.` };
  const pending = number(it["pending"]);
  return { name, tone: pending > 1000 ? "busy" : "good", text: pending > 0 ? `Writing; ${pending} changes wait.` : "Everything is written." };
}

function load({ server }: SystemState): Check {
  const name = "Load";
  const overload = inner(server["overload"]);
  if (number(overload["is_overloaded"]) > 0) return { name, tone: "bad", text: "More arrives than can be done: new calls are refused for now." };
  const times = number(overload["overloads"]);
  if (times > 0) return { name, tone: "busy", text: `Overloaded ${times} times since the start; fine now.` };
  return { name, tone: "good", text: "Nothing waits." };
}

function processes({ media, workers, web }: SystemState): Check {
  const name = "Processes";
  const all = [...list(media["workers"]), ...list(workers), inner(web)];
  const again = all.reduce((sum, process) => sum + Math.max(0, number(process["starts"]) - 1), 0);
  if (again > 0) return { name, tone: "busy", text: `${again} had to be started again since the server started. The log says why.` };
  return { name, tone: "good", text: "All run since the start." };
}
