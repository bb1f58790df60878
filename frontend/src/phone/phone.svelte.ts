// SPDX-License-Identifier: Apache-2.0
// What is the state of the phone, and what can one do with it? The pages show this; the line does the work.
import { Problem } from "$lib/api";
import { mintAccount } from "./account";
import { Contacts } from "./contacts.svelte";
import { JsSipLine } from "./jssip_line";
import type { Account, Call, CallView, Line, LineStatus, Party } from "./line";
import { Messages } from "./messages.svelte";
import { Notices } from "./notices";
import { OneTab } from "./one_tab.svelte";
import { Ringer, type Tone } from "./ringer";
import { Sound } from "./sound.svelte";

export const PAGES = ["keypad", "people", "recents", "messages", "settings"] as const;
export type Page = (typeof PAGES)[number];

/** How long the words of a call that failed stay. */
const SHOW_OUTCOME = 6_000;

export class Phone {
  status = $state.raw<LineStatus>({ state: "off", words: "", code: 0 });
  account = $state.raw<Account | null>(null);
  calls = $state.raw<readonly CallView[]>([]);
  /** The call in front: its buttons are shown, keys go there. */
  chosen = $state("");
  ended = $state.raw<CallView | null>(null);
  page = $state<Page>("keypad");
  dialled = $state("");
  notice = $state("");
  /** Somebody is asked before they get this call (attended transfer). */
  asking = $state.raw<{ about: string; with: string } | null>(null);
  /** The call that is about to be transferred: the question to whom is open. */
  transferring = $state("");
  isHelpShown = $state(false);
  isSignedOut = $state(false);
  readonly sound = new Sound();
  readonly contacts = new Contacts();
  readonly messages = new Messages();
  readonly tab = new OneTab();
  readonly ringer = new Ringer();
  readonly #notices = new Notices();
  #line: Line | null = null;
  /** Calls that have the microphone. */
  #speaking = new Set<string>();
  #forget = 0;
  #wasMintedAgain = false;

  front = $derived(this.calls.find(({ id }) => id === this.chosen) ?? this.calls[0] ?? null);
  ringing = $derived(this.calls.filter(({ state }) => state === "incoming"));
  others = $derived(this.calls.filter(({ id }) => id !== this.front?.id));

  async begin(): Promise<void> {
    window.addEventListener("online", () => this.#line?.checkNetwork());
    window.addEventListener("pagehide", () => void this.#line?.stop());
    document.addEventListener("visibilitychange", () => document.hidden || this.#line?.checkNetwork());
    const network = (navigator as { connection?: EventTarget }).connection;
    network?.addEventListener("change", () => this.#line?.checkNetwork());
    this.tab.onlost = () => void this.#leaveLine();
    await Promise.all([this.sound.begin(), this.tab.take(false)]);
    if (this.tab.isOurs) await this.connect();
  }

  /** Here and not in the other tab. */
  async takeOver(): Promise<void> {
    await this.tab.take(true);
    await this.connect();
  }

  async connect(): Promise<void> {
    this.status = { state: "connecting", words: "", code: 0 };
    let account: Account;
    try {
      account = await mintAccount();
    } catch (reason) {
      return this.#notMinted(reason);
    }
    this.account = account;
    this.messages.begin(account.number);
    this.contacts.end();
    this.contacts.begin(account.number);
    this.#useLine(new JsSipLine(account));
  }

  async call(target: string, withVideo = false): Promise<Call | null> {
    const dialled = target.trim();
    if (!dialled || !this.#line) return null;
    this.ended = null;
    const media = await this.#media(withVideo);
    if (!media) return null;
    await this.#holdOthers("");
    try {
      const call = this.#line.call(dialled, media);
      this.#speaking.add(call.id);
      this.chosen = call.id;
      this.dialled = "";
      return call;
    } catch (reason) {
      for (const track of media.getTracks()) track.stop();
      this.sound.release();
      this.#say(reason);
      return null;
    }
  }

  async answer(id: string, withVideo = false): Promise<void> {
    const call = this.#callOf(id);
    if (!call) return;
    const media = await this.#media(withVideo);
    if (!media) return;
    await this.#holdOthers(id);
    this.chosen = id;
    this.#speaking.add(id);
    call.answer(media);
  }

  hangUp(id: string): void {
    this.#callOf(id)?.hangUp();
  }

  /** Puts another call in front; who was talking there waits. */
  async choose(id: string): Promise<void> {
    this.chosen = id;
    await this.#holdOthers(id);
    await this.#try(async () => this.#callOf(id)?.resume());
  }

  async toggleHold(id: string): Promise<void> {
    const call = this.#callOf(id);
    if (!call) return;
    if (!call.view.isHeld) return this.#try(() => call.hold());
    await this.choose(id);
  }

  toggleMute(id: string): void {
    const call = this.#callOf(id);
    call?.mute(!call.view.isMuted);
  }

  async toggleVideo(id: string): Promise<void> {
    const call = this.#callOf(id);
    if (!call) return;
    await this.#try(async () => call.showVideo(call.view.localVideo ? null : await this.sound.camera()));
  }

  press(key: string): void {
    this.ringer.key(key);
    const front = this.front;
    if (front && ["talking", "ringing"].includes(front.state)) this.#try(async () => this.#callOf(front.id)?.sendKeys(key));
    else this.dialled += key;
  }

  async transfer(id: string, target: string): Promise<void> {
    const call = this.#callOf(id);
    if (!call || !target.trim()) return;
    await this.#try(() => call.transfer(target.trim()));
  }

  /** Attended transfer, first half: the caller waits while we ask. */
  async ask(id: string, target: string): Promise<void> {
    const asked = await this.call(target);
    if (asked) this.asking = { about: id, with: asked.id };
  }

  /** Attended transfer, second half. */
  async connectThem(first: string, second: string): Promise<void> {
    const [one, other] = [this.#callOf(first), this.#callOf(second)];
    if (!one || !other) return;
    await this.#try(() => one.transferTo(other));
    this.asking = null;
  }

  async useMicrophone(id: string): Promise<void> {
    this.sound.choose("microphone", id);
    this.sound.forgetMicrophone();
    for (const call of this.#line?.calls ?? []) {
      if (!this.#speaking.has(call.id)) continue;
      await this.#try(async () => {
        await call.replaceMicrophone(await this.sound.microphone());
        this.sound.release(); // it stays one user of the microphone, with another track
      });
    }
  }

  async send(number: string, text: string): Promise<void> {
    if (this.#line) await this.messages.send(this.#line, number, text);
  }

  async allowNotices(): Promise<void> {
    await this.#notices.allow();
  }

  /** For the quality mark, and for tests: how the call is doing. */
  numbers(id: string): ReturnType<Call["numbers"]> | undefined {
    return this.#callOf(id)?.numbers();
  }

  nameOf(party: Party): string {
    return this.contacts.nameOf(party.number) || party.name || party.number;
  }

  #useLine(line: Line): void {
    void this.#line?.stop();
    this.#line = line;
    line.on("status", (status) => this.#changed(status));
    line.on("changed", () => this.#refresh());
    line.on("ended", (view) => this.#over(view));
    line.on("incoming", (call) => this.#rings(call.view));
    line.on("message", ({ from, text }) => {
      const isSeen = this.page === "messages" && this.messages.open === from.number && !document.hidden;
      this.messages.take(from, text, isSeen);
      if (!isSeen) this.#notices.message(this.nameOf(from), text);
    });
    line.start();
  }

  #changed(status: LineStatus): void {
    this.status = status;
    if (status.state === "ready") this.#wasMintedAgain = false;
    // Removed in the console, or minted elsewhere meanwhile: one new secret, then the words stay.
    if (status.state === "refused" && !this.#wasMintedAgain && this.calls.length === 0) {
      this.#wasMintedAgain = true;
      void this.connect();
    }
  }

  #rings(view: CallView): void {
    if (!this.calls.some(({ state }) => state !== "incoming")) this.chosen = view.id;
    this.ended = null;
    this.#notices.call(view.id, this.nameOf(view.party), view.party.number);
  }

  #over(view: CallView): void {
    this.#notices.leave(view.id);
    const { asking } = this;
    if (asking && (asking.about === view.id || asking.with === view.id)) this.asking = null;
    this.contacts.note(view);
    if (this.#speaking.delete(view.id)) this.sound.release();
    if (view.outcome) this.#showOutcome(view);
    this.#refresh();
    // Who was put aside to ask somebody is not left alone when that one is gone.
    if (asking?.with === view.id && this.#callOf(asking.about)) void this.choose(asking.about);
  }

  #showOutcome(view: CallView): void {
    this.ended = view;
    clearTimeout(this.#forget);
    this.#forget = window.setTimeout(() => (this.ended = null), SHOW_OUTCOME);
  }

  #refresh(): void {
    this.calls = (this.#line?.calls ?? []).map(({ view }) => view);
    if (!this.calls.some(({ id }) => id === this.chosen)) this.chosen = this.calls[0]?.id ?? "";
    for (const { id, state } of this.calls) if (state !== "incoming") this.#notices.leave(id);
    this.ringer.play(this.#toneNow());
    document.title = this.ringing[0] ? `${this.nameOf(this.ringing[0].party)} calls` : "Ringback phone";
  }

  #toneNow(): Tone {
    const isTalking = this.calls.some(({ state }) => state === "talking" || state === "connecting");
    if (this.ringing.length > 0) return isTalking ? "waiting" : "incoming";
    if (this.front?.state === "ringing" && !this.front.hasEarlySound) return "ringback";
    return this.ended?.code === 486 && this.calls.length === 0 ? "busy" : "";
  }

  async #holdOthers(id: string): Promise<void> {
    for (const call of this.#line?.calls ?? []) {
      if (call.id !== id && call.view.state === "talking") await this.#try(() => call.hold());
    }
  }

  async #media(withVideo: boolean): Promise<MediaStream | null> {
    let microphone: MediaStreamTrack;
    try {
      microphone = await this.sound.microphone();
    } catch (reason) {
      this.#say(reason);
      return null;
    }
    try {
      return new MediaStream(withVideo ? [microphone, await this.sound.camera()] : [microphone]);
    } catch (reason) {
      this.#say(reason); // a call without a picture is better than none
      return new MediaStream([microphone]);
    }
  }

  async #leaveLine(): Promise<void> {
    this.contacts.end();
    const line = this.#line;
    this.#line = null;
    await line?.stop();
    this.#refresh();
    this.status = { state: "off", words: "", code: 0 };
  }

  #notMinted(reason: unknown): void {
    if (reason instanceof Problem && reason.status === 401) this.isSignedOut = true;
    const words = reason instanceof Error ? reason.message : String(reason);
    this.status = { state: "refused", words, code: reason instanceof Problem ? reason.status : 0 };
    if (reason instanceof Problem && (reason.status === 0 || reason.status >= 500)) {
      this.status = { ...this.status, state: "lost" };
      window.setTimeout(() => this.tab.isOurs && !this.#line && void this.connect(), 5_000);
    }
  }

  #callOf(id: string): Call | undefined {
    return this.#line?.calls.find((call) => call.id === id);
  }

  async #try(action: () => Promise<void> | undefined): Promise<void> {
    try {
      await action();
    } catch (reason) {
      this.#say(reason);
    }
  }

  #say(reason: unknown): void {
    this.notice = reason instanceof Error ? reason.message : String(reason);
  }
}
