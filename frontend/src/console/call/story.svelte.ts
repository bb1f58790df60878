// SPDX-License-Identifier: Apache-2.0
// What is known of one call? Its record and its messages, loaded again when an event names it, and while it is on.
import { api, type Problem } from "$lib/api";
import { events, type Happening } from "$lib/events";
import { live, type Live } from "$lib/live.svelte";
import type { Call, CallTrace } from "$lib/types";

/** Several events of one moment are one load. */
const TOGETHER = 350;
/** The quality of sound is sampled every five seconds; that posts no event. */
const WHILE_ON = 5_000;
/** Between its end and its record in the store a call is nowhere for a moment: the numbers of its sound are awaited. */
const BEING_WRITTEN = 1_500;
const TRIES = 10;

export class Story {
  readonly call: Live<Call>;
  readonly trace: Live<CallTrace>;

  constructor(id: () => string) {
    this.call = live(() => api.get<Call>(`/records/${encodeURIComponent(id())}`));
    this.trace = live(() => api.get<CallTrace>(`/records/${encodeURIComponent(id())}/trace`));
    $effect(() => follow(() => this.call.value?.id ?? id(), this.reload));
    $effect(() => {
      if (!this.isOn) return;
      const timer = window.setInterval(() => document.visibilityState === "visible" && this.reload(), WHILE_ON);
      return () => window.clearInterval(timer);
    });
    let tries = 0;
    $effect(() => {
      if (!this.isBeingWritten) return;
      const timer = window.setTimeout(() => tries++ < TRIES && this.reload(), BEING_WRITTEN);
      return () => window.clearTimeout(timer);
    });
  }

  /** It was there, and is not found: what is known of it stays. */
  get isBeingWritten(): boolean {
    const missing = [this.call, this.trace].some((each) => !each.loading && each.problem?.status === 404);
    return missing && !!this.call.value;
  }

  get problem(): Problem | null {
    return this.isBeingWritten ? null : this.call.problem;
  }

  get traceProblem(): Problem | null {
    return this.trace.value && this.trace.problem?.status === 404 ? null : this.trace.problem;
  }

  get isOn(): boolean {
    return !!this.call.value && this.call.value.state !== "ended";
  }

  reload = (): void => {
    this.call.reload();
    this.trace.reload();
  };
}

/** Events of other calls of the office are not ours. */
function follow(id: () => string, stale: () => void): () => void {
  let timer = 0;
  const stop = events.on("call.*", (happening: Happening) => {
    const named = (happening["call"] as Call | undefined)?.id ?? happening["id"];
    if (named !== id() || timer) return;
    timer = window.setTimeout(() => {
      timer = 0;
      stale();
    }, TOGETHER);
  });
  return () => {
    window.clearTimeout(timer);
    stop();
  };
}
