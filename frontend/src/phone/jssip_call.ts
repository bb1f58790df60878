// SPDX-License-Identifier: Apache-2.0
// How is one call of JsSIP a `Call`? What ends a call in JsSIP though it could go on is caught here.
import type { RTCSession } from "jssip/lib/RTCSession";
import { DTMF_TRANSPORT } from "jssip/lib/Constants";
import type { IncomingRequest, IncomingResponse } from "jssip/lib/SIPMessage";
import { type Call, type CallNumbers, type CallView, LineProblem, type Party } from "./line";
import { numbersOf } from "./call_numbers";
import { dtlsOf } from "./descriptions";
import { isSurvivable, type JsSipSession, speakAfresh, type Replaced, replacedBy } from "./jssip_inside";
import { callWords, endWords } from "./words";
import { freshView } from "./jssip_view";

/** ICE says "disconnected" for every hiccup; after so long it is none. */
const HICCUP = 2_000;
/** A call that found no way over within this time is over. */
const MEND_WITHIN = 60_000;
/** RFC 3261 section 14.1: after a collision, and while another offer is open, wait and try again. */
const OFFER_AGAIN = 400;
const OFFER_WITHIN = 10_000;
/** Candidates that take longer than this (a STUN server that does not answer) are done without. */
const GATHER_WITHIN = 700;
/** How long to wait after both sides offered at once, and how often to try. */
const COLLISION = 900;
const MOST_REFUSALS = 4;
const JOIN_AGAIN = 250;
const TRANSFER_WITHIN = 60_000;

export interface CallSurroundings {
  isConnected(): boolean;
  changed(call: JsSipCall): void;
  ended(call: JsSipCall): void;
}

export class JsSipCall implements Call {
  readonly id: string;
  readonly session: JsSipSession;
  #view: CallView;
  #around: CallSurroundings;
  #local: MediaStream | null = null;
  #hiccup = 0;
  #deadline = 0;
  #connection: RTCPeerConnection | null = null;
  #fingerprint = "";
  /** Offers of ours that were refused since the last one that was not. */
  #refusals = 0;

  constructor(session: RTCSession, party: Party, around: CallSurroundings, media: MediaStream | null) {
    this.id = session.id;
    this.session = session as JsSipSession;
    this.#around = around;
    this.#local = media;
    this.#view = freshView(session, party, media);
    this.#keepAlive();
    this.#listen();
    if (session.connection) this.#watch(session.connection);
  }

  get view(): CallView {
    return this.#view;
  }

  answer(media: MediaStream): void {
    if (this.#view.state !== "incoming") return stopAll(media);
    this.#local = media;
    this.#show({ state: "connecting", localVideo: media.getVideoTracks()[0] ?? null });
    this.session.answer({ mediaStream: media, pcConfig: { iceServers: this.session.data.iceServers } });
  }

  hangUp(): void {
    if (this.#view.state === "ended") return;
    const isRinging = this.#view.state === "incoming";
    this.session.terminate(isRinging ? { status_code: 486 } : {});
  }

  async hold(): Promise<void> {
    if (this.#view.isHeld || this.#view.state !== "talking") return;
    await this.#offer((done) => this.session.hold({}, done));
  }

  async resume(): Promise<void> {
    if (!this.#view.isHeld || this.#view.state !== "talking") return;
    await this.#offer((done) => this.session.unhold({}, done));
  }

  mute(on: boolean): void {
    if (on) this.session.mute({ audio: true });
    else this.session.unmute({ audio: true });
    this.#show({ isMuted: on });
  }

  sendKeys(keys: string): void {
    const sender = this.#connection?.getSenders().find(({ track }) => track?.kind === "audio");
    // RFC 4733 when the other side can; else INFO, which every server understands.
    const transportType = sender?.dtmf?.canInsertDTMF ? DTMF_TRANSPORT.RFC2833 : DTMF_TRANSPORT.INFO;
    this.session.sendDTMF(keys, { transportType, duration: 160, interToneGap: 80 });
  }

  transfer(target: string): Promise<void> {
    return this.#refer(target);
  }

  transferTo(other: Call): Promise<void> {
    const { session } = other as JsSipCall;
    return this.#refer(session.remote_identity.uri.toString(), replacedBy(session));
  }

  async showVideo(track: MediaStreamTrack | null): Promise<void> {
    const connection = this.#connection;
    if (!connection || this.#view.state !== "talking") return;
    this.#view.localVideo?.stop();
    const video = connection
      .getTransceivers()
      .find(({ receiver, currentDirection }) => receiver.track.kind === "video" && currentDirection !== "stopped");
    if (video) {
      await video.sender.replaceTrack(track);
      video.direction = track ? "sendrecv" : "recvonly";
    } else if (track) {
      // not addTransceiver: when both want to show something at once, theirs and ours become one (RFC 8829 5.10)
      connection.addTrack(track, ...(this.#local ? [this.#local] : []));
    }
    this.#show({ localVideo: track });
    await this.#offer((done) => this.session.renegotiate({}, done));
  }

  async replaceMicrophone(track: MediaStreamTrack): Promise<void> {
    const sender = this.#connection?.getSenders().find((one) => one.track?.kind === "audio");
    if (!sender) return track.stop();
    const old = sender.track;
    track.enabled = old?.enabled ?? true;
    await sender.replaceTrack(track);
    old?.stop();
    this.#local?.getAudioTracks().forEach((one) => this.#local?.removeTrack(one));
    this.#local?.addTrack(track);
  }

  async restartIce(): Promise<void> {
    if (this.#view.state !== "talking") return;
    this.#mending();
    if (!this.#around.isConnected()) return; // the line calls again when it is
    await this.#offerNewAddresses();
    this.#mended();
  }

  async numbers(): Promise<CallNumbers> {
    return numbersOf(this.#connection);
  }

  /** JsSIP hangs up when ICE fails, when a request meets a lost connection, and when a new offer is refused. The
   *  sound may go on, or come back: the call is kept, and mended or left as it was. */
  #keepAlive(): void {
    const terminate = this.session.terminate.bind(this.session);
    this.session.terminate = (options = {}) => {
      if (this.session.isEnded()) return; // JsSIP throws when an answer comes after the end
      if (this.#view.state === "talking" && isSurvivable(options)) this.#survive(options.cause ?? "");
      else terminate(options);
    };
  }

  #survive(cause: string): void {
    if (cause === "WebRTC Error") void this.#takeBack();
    else void this.restartIce().catch(() => {});
  }

  /** An offer was refused: mostly because both offered at once (491). RFC 3261 section 14.1: by chance one is first. */
  async #takeBack(): Promise<void> {
    await this.#connection?.setLocalDescription({ type: "rollback" }).catch(() => {});
    this.#refusals += 1;
    if (this.#refusals > MOST_REFUSALS) {
      this.#view.localVideo?.stop();
      return this.#show({ localVideo: null });
    }
    await pause(COLLISION * (0.5 + Math.random()) * this.#refusals);
    await this.#offer((done) => this.session.renegotiate({}, done)).catch(() => {});
  }

  #listen(): void {
    const { session } = this;
    session.on("peerconnection", ({ peerconnection }) => this.#watch(peerconnection));
    session.on("icecandidate", ({ ready }) => void setTimeout(ready, GATHER_WITHIN));
    session.on("progress", (event: object) => this.#progress((event as { response?: IncomingResponse | null }).response));
    session.on("accepted", () => this.#show({ state: "talking", answeredAt: Date.now() }));
    session.on("hold", ({ originator }) => this.#held(originator, true));
    session.on("unhold", ({ originator }) => this.#held(originator, false));
    session.on("reinvite", (event) => {
      this.#renamed(event.request);
      speakAfresh(this.session, event);
    });
    session.on("update", ({ request }) => this.#renamed(request));
    session.on("ended", ({ cause, message }) => this.#over(cause, message, true));
    session.on("failed", ({ cause, message }) => this.#over(cause, message, false));
    // A server that only routes lets the phone follow a transfer itself: RFC 3515.
    session.on("refer", ({ accept, reject }) => {
      const media = this.#local?.clone();
      if (!media) return reject();
      accept(() => {}, { mediaStream: media, pcConfig: { iceServers: session.data.iceServers } });
    });
  }

  #progress(response: IncomingResponse | null | undefined): void {
    if (this.#view.direction !== "out" || !response) return;
    this.#show({ state: "ringing", hasEarlySound: this.#view.hasEarlySound || Boolean(response.body) });
  }

  #held(originator: string, on: boolean): void {
    this.#show(originator === "local" ? { isHeld: on } : { isHeldByOther: on });
  }

  /** RFC 3325: after a transfer somebody else is there; the server says who. */
  #renamed(request: IncomingRequest): void {
    const told = /^\s*(?:"((?:[^"\\]|\\.)*)"\s*)?<sips?:([^@>;]+)/.exec(request.getHeader("P-Asserted-Identity") ?? "");
    if (told?.[2]) this.#show({ party: { number: told[2], name: (told[1] ?? "").replace(/\\(.)/g, "$1") } });
  }

  #watch(connection: RTCPeerConnection): void {
    this.#connection = connection;
    connection.addEventListener("track", ({ track }) => {
      const shown = () => this.#show({ remoteVideo: track.muted || track.readyState === "ended" ? null : track });
      if (track.kind === "audio") return this.#show({ remoteAudio: track });
      track.onmute = track.onunmute = track.onended = shown;
      shown();
    });
    connection.addEventListener("signalingstatechange", () => this.#agreed(connection));
    connection.addEventListener("iceconnectionstatechange", () => this.#iceChanged(connection.iceConnectionState));
  }

  /** A transfer joined us with somebody else: another certificate. Chromium 156 keeps to the addresses of the one
   *  who left until those are dead, 3 to 8 s; beginning once more, now that only the right ones are left, it takes
   *  half a second. The side that speaks first in DTLS does it, the other one only if that did not help. */
  #agreed(connection: RTCPeerConnection): void {
    if (connection.signalingState !== "stable") return;
    const { fingerprint, isClient } = dtlsOf(connection);
    const isSomebodyElse = this.#fingerprint !== "" && this.#fingerprint !== fingerprint;
    this.#fingerprint = fingerprint;
    if (connection.currentLocalDescription?.type === "offer") this.#refusals = 0;
    if (!isSomebodyElse) return;
    setTimeout(
      () => {
        if (connection.connectionState === "connecting") void this.#offerNewAddresses().catch(() => {});
      },
      isClient ? JOIN_AGAIN : 2 * JOIN_AGAIN,
    );
  }

  #iceChanged(state: RTCIceConnectionState): void {
    clearTimeout(this.#hiccup);
    if (this.#view.state !== "talking") return;
    if (state === "connected" || state === "completed") this.#mended();
    else if (state === "disconnected") {
      this.#hiccup = window.setTimeout(() => void this.restartIce().catch(() => {}), HICCUP);
    }
  }

  #mending(): void {
    if (this.#deadline) return;
    this.#show({ isMending: true });
    this.#deadline = window.setTimeout(() => {
      this.#show({ outcome: "The network was gone for too long." });
      this.#deadline = 0;
      this.session.terminate({ cause: "Lost" });
    }, MEND_WITHIN);
  }

  #mended(): void {
    const state = this.#connection?.iceConnectionState;
    if (state !== "connected" && state !== "completed") return;
    clearTimeout(this.#deadline);
    this.#deadline = 0;
    if (this.#view.isMending) this.#show({ isMending: false });
  }

  /** One offer at a time (RFC 3264 section 4): wait for our turn, then until it is answered. */
  async #offer(begin: (done: () => void) => boolean): Promise<void> {
    const deadline = Date.now() + OFFER_WITHIN;
    while (this.#view.state === "talking") {
      let isBegun = false;
      const answered = new Promise<void>((resolve) => (isBegun = begin(resolve)));
      await Promise.race([answered, pause(isBegun ? OFFER_WITHIN : OFFER_AGAIN)]);
      if (isBegun) return;
      if (Date.now() > deadline) throw new LineProblem("The other side does not answer just now. Try again.");
    }
  }

  #offerNewAddresses(): Promise<void> {
    return this.#offer((done) => this.session.renegotiate({ rtcOfferConstraints: { iceRestart: true } }, done));
  }

  #refer(target: string, replaces?: Replaced): Promise<void> {
    if (this.#view.state !== "talking") return Promise.reject(new LineProblem("There is no call to transfer."));
    this.#show({ transfer: "asked" });
    return new Promise<void>((resolve, reject) => {
      const refuse = (code: number, reason: string) => {
        this.#show({ transfer: "refused" });
        reject(new LineProblem(callWords(code, reason), code));
      };
      const deadline = window.setTimeout(() => refuse(408, ""), TRANSFER_WITHIN);
      const settle = (then: () => void) => {
        clearTimeout(deadline);
        if (this.#view.transfer === "asked") then();
      };
      const done = () => {
        this.#show({ transfer: "done" });
        resolve();
        this.hangUp();
      };
      // Some servers hang up before they tell: the call has gone where it was to go.
      this.session.on("ended", () => settle(done));
      this.session.refer(target, {
        ...(replaces ? { replaces: replaces as unknown as RTCSession } : {}),
        eventHandlers: {
          accepted: () => settle(done),
          failed: ({ status_line }: { status_line?: { status_code: number; reason_phrase: string } }) =>
            settle(() => refuse(status_line?.status_code ?? 0, status_line?.reason_phrase ?? "")),
          requestFailed: ({ response }: { response: IncomingResponse | null }) =>
            settle(() => refuse(response?.status_code ?? 503, response?.reason_phrase ?? "")),
        },
      });
    });
  }

  #over(cause: string, message: IncomingRequest | IncomingResponse | null, wasTalking: boolean): void {
    clearTimeout(this.#hiccup);
    clearTimeout(this.#deadline);
    if (this.#local) stopAll(this.#local);
    this.#view.localVideo?.stop();
    const code = (message as IncomingResponse | null)?.status_code ?? 0;
    const reason = (message as IncomingResponse | null)?.reason_phrase ?? "";
    this.#show({
      state: "ended",
      code: wasTalking ? 0 : code,
      outcome: this.#view.outcome || (wasTalking ? "" : endWords(cause, code, reason, this.#view.direction)),
      localVideo: null,
      remoteVideo: null,
      remoteAudio: null,
      isMending: false,
    });
    this.#around.ended(this);
  }

  #show(changes: Partial<CallView>): void {
    this.#view = { ...this.#view, ...changes };
    this.#around.changed(this);
  }
}

function stopAll(media: MediaStream): void {
  for (const track of media.getTracks()) track.stop();
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
