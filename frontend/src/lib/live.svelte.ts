// SPDX-License-Identifier: Apache-2.0
// How does a page stay true? It loads once, again when what it asked for changes, and when an event says so.
import { untrack } from "svelte";
import { events } from "./events";
import { Problem } from "./api";

const TRY_AGAIN = 4_000;

export class Live<T> {
  value = $state.raw<T>();
  problem = $state<Problem | null>(null);
  loading = $state(true);
  #again = $state(0);

  get asked(): number {
    return this.#again;
  }

  reload = (): void => {
    untrack(() => this.#again++);
  };

  /** Show a change at once; the next load tells the truth. */
  set(value: T): void {
    this.value = value;
  }
}

/** Loads now and whenever state that `load` reads changes; `kinds` are the events after which it is stale. */
export function live<T>(load: (signal: AbortSignal) => Promise<T>, kinds: readonly string[] = [], wait = 300): Live<T> {
  const page = new Live<T>();
  $effect(() => {
    void page.asked;
    const leaving = new AbortController();
    let retry = 0;
    untrack(() => (page.loading = true));
    load(leaving.signal).then(
      (value) => {
        if (leaving.signal.aborted) return;
        page.value = value;
        page.problem = null;
        page.loading = false;
      },
      (reason: unknown) => {
        if (leaving.signal.aborted) return;
        page.problem = reason instanceof Problem ? reason : new Problem(0, String(reason));
        page.loading = false;
        if (page.problem.status === 0 || page.problem.status >= 502) retry = window.setTimeout(page.reload, TRY_AGAIN);
      },
    );
    return () => {
      leaving.abort();
      window.clearTimeout(retry);
    };
  });
  $effect(() => {
    let timer = 0;
    const stale = () => {
      if (timer) return;
      timer = window.setTimeout(() => {
        timer = 0;
        page.reload();
      }, wait);
    };
    const stops = [...kinds, "events.resumed"].map((kind) => events.on(kind, stale));
    return () => {
      window.clearTimeout(timer);
      for (const stop of stops) stop();
    };
  });
  return page;
}

class Clock {
  /** seconds since 1970, moved on once a second while somebody looks */
  now = $state(Date.now() / 1000);

  constructor() {
    window.setInterval(() => {
      if (document.visibilityState === "visible") this.now = Date.now() / 1000;
    }, 1000);
  }
}

export const clock = new Clock();
