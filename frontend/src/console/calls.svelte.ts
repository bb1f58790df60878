// SPDX-License-Identifier: Apache-2.0
// Which calls are on now? One list for all pages, kept true by call.* events.
import { api } from "$lib/api";
import { events, type Happening } from "$lib/events";
import type { Call, Calls } from "$lib/types";

/** Under heavy load single events may be left out: the list is read again this often. */
const READ_AGAIN = 15_000;

class LiveCalls {
  list = $state.raw<Call[]>([]);
  known = $state(false);
  problem = $state("");
  #users = 0;
  #stops: (() => void)[] = [];

  /** Call in an effect: kept up to date until the returned function is called. */
  follow = (): (() => void) => {
    if (this.#users++ === 0) this.#start();
    return () => {
      if (--this.#users === 0) {
        for (const stop of this.#stops) stop();
        this.#stops = [];
      }
    };
  };

  read = async (): Promise<void> => {
    try {
      this.list = sorted((await api.get<Calls>("/calls")).items);
      this.problem = "";
      this.known = true;
    } catch (reason) {
      this.problem = (reason as Error).message;
    }
  };

  #start(): void {
    void this.read();
    const timer = window.setInterval(() => void this.read(), READ_AGAIN);
    this.#stops = [
      () => window.clearInterval(timer),
      events.on("events.resumed", () => void this.read()),
      events.on("call.*", (happening) => this.#heard(happening)),
    ];
  }

  #heard(happening: Happening): void {
    const call = happening["call"] as Call | undefined;
    if (!call?.id) return;
    const others = this.list.filter((known) => known.id !== call.id);
    this.list = happening.kind === "call.ended" || call.state === "ended" ? others : sorted([...others, call]);
  }
}

function sorted(calls: Call[]): Call[] {
  return [...calls].sort((one, other) => other.began_at - one.began_at);
}

export const liveCalls = new LiveCalls();
