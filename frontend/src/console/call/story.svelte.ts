// SPDX-License-Identifier: Apache-2.0
// What is known of one call? Its record and its messages, loaded again when an event names it, and while it is on.
import { api } from "$lib/api";
import { events, type Happening } from "$lib/events";
import { live, type Live } from "$lib/live.svelte";
import type { Call, CallTrace } from "$lib/types";

/** Several events of one moment are one load. */
const TOGETHER = 350;
/** The quality of sound is sampled every five seconds; that posts no event. */
const WHILE_ON = 5_000;

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
