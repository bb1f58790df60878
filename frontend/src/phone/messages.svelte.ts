// SPDX-License-Identifier: Apache-2.0
// What did people write? RFC 3428 messages, by the number at the other end; kept in this browser only.
import { keep, kept } from "./keeping";
import type { Line, Party } from "./line";

export interface Written {
  id: number;
  at: number;
  isMine: boolean;
  text: string;
  state: "sending" | "sent" | "failed";
  problem: string;
}

export interface Thread {
  number: string;
  name: string;
  unread: number;
  written: Written[];
}

const MOST_THREADS = 60;
const MOST_WRITTEN = 200;

export class Messages {
  threads = $state<Thread[]>([]);
  /** The number whose thread is open, or nothing. */
  open = $state("");
  unread = $derived(this.threads.reduce((sum, thread) => sum + thread.unread, 0));
  #next = Date.now();
  #owner = "";

  /** Several people may use one browser: each has their own. */
  begin(owner: string): void {
    this.#owner = owner;
    this.threads = kept<Thread[]>(`threads.${owner}`, []).map(settled);
  }

  get thread(): Thread | undefined {
    return this.threads.find(({ number }) => number === this.open);
  }

  read(number: string, name = ""): void {
    this.open = number;
    this.#threadOf(number, name).unread = 0;
    this.#keep();
  }

  close(): void {
    this.open = "";
  }

  take(from: Party, text: string, isSeen: boolean): void {
    const thread = this.#threadOf(from.number, from.name);
    this.#add(thread, { isMine: false, text, state: "sent" });
    if (!isSeen) thread.unread += 1;
    this.#keep();
  }

  async send(line: Line, number: string, text: string): Promise<void> {
    const thread = this.#threadOf(number, "");
    const { id } = this.#add(thread, { isMine: true, text, state: "sending" });
    this.#keep();
    const settle = (state: Written["state"], problem: string) => {
      const one = this.#threadOf(number, "").written.find((written) => written.id === id);
      if (one) Object.assign(one, { state, problem });
      this.#keep();
    };
    try {
      await line.sendMessage(number, text);
      settle("sent", "");
    } catch (reason) {
      settle("failed", reason instanceof Error ? reason.message : String(reason));
    }
  }

  #threadOf(number: string, name: string): Thread {
    let index = this.threads.findIndex((thread) => thread.number === number);
    if (index < 0) index = this.threads.push({ number, name, unread: 0, written: [] }) - 1;
    const thread = this.threads[index] as Thread;
    if (name) thread.name = name;
    return thread;
  }

  #add(thread: Thread, { isMine, text, state }: Pick<Written, "isMine" | "text" | "state">): Written {
    const one: Written = { id: (this.#next += 1), at: Date.now(), isMine, text, state, problem: "" };
    thread.written.push(one);
    if (thread.written.length > MOST_WRITTEN) thread.written.splice(0, thread.written.length - MOST_WRITTEN);
    // the latest first; the oldest threads go when there are too many
    this.threads.sort((a, b) => lastOf(b) - lastOf(a));
    if (this.threads.length > MOST_THREADS) this.threads.splice(MOST_THREADS);
    return one;
  }

  #keep(): void {
    keep(`threads.${this.#owner}`, this.threads);
  }
}

function lastOf(thread: Thread): number {
  return thread.written.at(-1)?.at ?? 0;
}

/** A page that was closed while sending does not know what became of it. */
function settled(thread: Thread): Thread {
  const written = thread.written.map((one) =>
    one.state === "sending" ? { ...one, state: "failed" as const, problem: "The page was closed while sending." } : one,
  );
  return { ...thread, written };
}
