// SPDX-License-Identifier: Apache-2.0
// Whom can one call, who is there, and who called? Asked of the server, afresh whenever something happens.
import { api } from "$lib/api";
import { events } from "$lib/events";
import { keep, kept } from "./keeping";
import type { CallView } from "./line";

export type Presence = "online" | "offline" | "busy" | "ringing";

export interface Contact {
  number: string;
  name: string;
  state: Presence;
}

export interface PastCall {
  id: string;
  at: number;
  direction: "in" | "out";
  number: string;
  name: string;
  result: string;
  seconds: number;
}

/** Several things happen at once (a call begins: two people change); one question answers them all. */
const ASK_AFTER = 250;
/** When no event comes through, as on a network that cuts WebSockets. */
const ASK_EVERY = 30_000;
const MOST_PAST = 100;

export class Contacts {
  people = $state.raw<Contact[]>([]);
  past = $state.raw<PastCall[]>([]);
  isLoaded = $state(false);
  problem = $state("");
  #names = $derived(new Map(this.people.map(({ number, name }) => [number, name])));
  #owner = "";
  #timer = 0;
  #leave: (() => void)[] = [];

  begin(owner: string): void {
    this.#owner = owner;
    this.past = kept(`past.${owner}`, []);
    const soon = () => this.#soon();
    for (const kind of ["call.*", "phone.*", "users.changed", "events.resumed"]) this.#leave.push(events.on(kind, soon));
    const ticker = window.setInterval(soon, ASK_EVERY);
    this.#leave.push(() => window.clearInterval(ticker));
    void this.load();
  }

  end(): void {
    for (const leave of this.#leave.splice(0)) leave();
    window.clearTimeout(this.#timer);
  }

  nameOf(number: string): string {
    return this.#names.get(number) ?? "";
  }

  find(number: string): Contact | undefined {
    return this.people.find((one) => one.number === number);
  }

  /** A call of this page ended: shown at once, and the server's own account of it soon after. */
  note(view: CallView): void {
    const seconds = view.answeredAt ? (Date.now() - view.answeredAt) / 1000 : 0;
    const { number, name } = view.party;
    const result = view.answeredAt ? "answered" : view.direction === "in" ? "no answer" : view.outcome || "cancelled";
    const one = { id: view.id, at: view.startedAt / 1000, direction: view.direction, number, name, result, seconds };
    this.past = [one, ...this.past].slice(0, MOST_PAST);
    keep(`past.${this.#owner}`, this.past);
    this.#soon();
  }

  async load(): Promise<void> {
    await Promise.all([this.#loadPeople(), this.#loadPast()]);
    this.isLoaded = true;
  }

  #soon(): void {
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.load(), ASK_AFTER);
  }

  async #loadPeople(): Promise<void> {
    try {
      const found = await api.get<Contact[] | { items: Contact[] }>("/phone/contacts");
      this.people = Array.isArray(found) ? found : found.items;
      this.problem = "";
    } catch (reason) {
      this.problem = reason instanceof Error ? reason.message : String(reason);
    }
  }

  async #loadPast(): Promise<void> {
    try {
      const found = await api.get<PastCall[] | { items: PastCall[] }>("/phone/history");
      this.past = (Array.isArray(found) ? found : found.items).slice(0, MOST_PAST);
      keep(`past.${this.#owner}`, this.past);
    } catch {
      // what this browser remembers is shown
    }
  }
}
