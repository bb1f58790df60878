// SPDX-License-Identifier: Apache-2.0
// How does a visitor without an account call the one number a page is for? Asked, minted, called, forgotten.
import { api, Problem } from "$lib/api";
import { mintGuest } from "../phone/account";
import { JsSipLine } from "../phone/jssip_line";
import { audioContext } from "../phone/level";
import type { Call, CallView, Line } from "../phone/line";
import { Ringer } from "../phone/ringer";
import { Sound } from "../phone/sound.svelte";

export type Step = "loading" | "closed" | "ready" | "starting" | "calling" | "over";

const CONNECT_WITHIN = 15_000;

export class Guest {
  step = $state<Step>("loading");
  title = $state("");
  problem = $state("");
  outcome = $state("");
  view = $state.raw<CallView | null>(null);
  /** A copy of the microphone for the meter: it is open only during the call. */
  heard = $state.raw<MediaStreamTrack | null>(null);
  readonly sound = new Sound();
  readonly #page: string;
  readonly #ringer = new Ringer();
  #line: Line | null = null;
  #call: Call | null = null;

  constructor(page: string) {
    this.#page = page;
  }

  async begin(): Promise<void> {
    window.addEventListener("pagehide", () => void this.#line?.stop());
    window.addEventListener("online", () => this.#line?.checkNetwork());
    (navigator as { connection?: EventTarget }).connection?.addEventListener("change", () => this.#line?.checkNetwork());
    await Promise.all([this.sound.begin(), this.load()]);
    this.problem = this.sound.problem;
  }

  async load(): Promise<void> {
    try {
      const page = await api.get<{ title: string }>(`/guest/${encodeURIComponent(this.#page)}`, {}, { quiet: true });
      this.title = page.title;
      this.step = "ready";
    } catch (reason) {
      this.step = "closed";
      if (reason instanceof Problem && reason.status !== 404) this.problem = reason.message;
    }
  }

  async call(): Promise<void> {
    audioContext();
    this.step = "starting";
    this.problem = this.outcome = "";
    let microphone: MediaStreamTrack | null = null;
    try {
      microphone = await this.sound.microphone();
      const { account, target } = await mintGuest(this.#page);
      const line = new JsSipLine(account);
      this.#line = line;
      line.on("changed", (view) => this.#show(view));
      line.on("ended", (view) => this.#over(view));
      await isReady(line);
      this.heard = microphone.clone();
      this.#call = line.call(target, new MediaStream([microphone]));
      this.step = "calling";
    } catch (reason) {
      microphone?.stop();
      this.problem = reason instanceof Error ? reason.message : String(reason);
      this.step = "ready";
      this.#leave();
    }
  }

  hangUp(): void {
    this.#call?.hangUp();
  }

  toggleMute(): void {
    if (this.#call) this.#call.mute(!this.#call.view.isMuted);
  }

  press(key: string): void {
    this.#ringer.key(key);
    this.#call?.sendKeys(key);
  }

  #show(view: CallView): void {
    this.view = view;
    this.#ringer.play(view.state === "ringing" && !view.hasEarlySound ? "ringback" : "");
  }

  #over(view: CallView): void {
    this.view = view;
    this.#ringer.play(view.code === 486 ? "busy" : "");
    this.outcome = view.outcome || (view.answeredAt ? "The call has ended." : "");
    this.step = "over";
    this.#leave();
  }

  #leave(): void {
    this.heard?.stop();
    this.heard = null;
    this.sound.release();
    void this.#line?.stop();
    this.#line = this.#call = null;
  }
}

function isReady(line: Line): Promise<void> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error("The server does not answer. Try again in a moment.")), CONNECT_WITHIN);
    line.on("status", ({ state, words }) => {
      if (state === "ready") resolve();
      else if (state === "refused" || state === "lost") reject(new Error(words));
      else return;
      clearTimeout(deadline);
    });
    line.start();
  });
}
