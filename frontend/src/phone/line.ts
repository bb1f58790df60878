// SPDX-License-Identifier: Apache-2.0
// What can a telephone line do? The one interface between the pages and whatever SIP library stands behind it.

/** Who this phone is, as the server minted it. `ha1` is MD5(user:realm:password) of RFC 7616; no password is kept. */
export interface Account {
  uri: string;
  name: string;
  number: string;
  domain: string;
  ws: string;
  realm: string;
  ha1: string;
  iceServers: RTCIceServer[];
  /** A guest calls, but nobody can call a guest: no registration. */
  isReachable: boolean;
}

export type LineState = "off" | "connecting" | "ready" | "lost" | "refused";

export interface LineStatus {
  state: LineState;
  /** In plain words: what is wrong and what one can do. Empty while all is well. */
  words: string;
  /** The SIP status that refused the registration, 0 if it was not one. */
  code: number;
}

export interface Party {
  number: string;
  name: string;
}

export type CallState = "dialling" | "ringing" | "incoming" | "connecting" | "talking" | "ended";

/** How a call is at one moment: never changed, replaced by a new one with every event. */
export interface CallView {
  id: string;
  direction: "in" | "out";
  party: Party;
  state: CallState;
  startedAt: number;
  answeredAt: number | null;
  isHeld: boolean;
  isHeldByOther: boolean;
  isMuted: boolean;
  /** The network was lost or has changed; the call is being carried over. */
  isMending: boolean;
  /** The other side rings with its own sound (early media): no ringing tone of ours. */
  hasEarlySound: boolean;
  offersVideo: boolean;
  localVideo: MediaStreamTrack | null;
  remoteVideo: MediaStreamTrack | null;
  remoteAudio: MediaStreamTrack | null;
  transfer: "" | "asked" | "refused" | "done";
  /** In words, when it has ended and there is something to say. */
  outcome: string;
  /** SIP status of a call that failed, else 0. */
  code: number;
}

/** Numbers of one moment, for the quality mark and for tests. */
export interface CallNumbers {
  packetsReceived: number;
  packetsLost: number;
  jitter: number;
  roundTrip: number;
  /** Sum of the energy heard (W3C webrtc-stats totalAudioEnergy): it grows only with sound. */
  energyHeard: number;
  levelHeard: number;
  framesDecoded: number;
  codec: string;
}

export interface Call {
  readonly id: string;
  readonly view: CallView;
  answer(media: MediaStream): void;
  /** Ends the call whatever its state: cancels, declines or hangs up. */
  hangUp(): void;
  hold(): Promise<void>;
  resume(): Promise<void>;
  mute(on: boolean): void;
  /** RFC 4733 telephone events in the sound. */
  sendKeys(keys: string): void;
  /** RFC 3515: the other side calls `target` instead of us; done when it is told that the target answered. */
  transfer(target: string): Promise<void>;
  /** RFC 3891: the other sides of both calls are connected with each other. */
  transferTo(other: Call): Promise<void>;
  /** A camera's track, or null to show nothing any more. */
  showVideo(track: MediaStreamTrack | null): Promise<void>;
  replaceMicrophone(track: MediaStreamTrack): Promise<void>;
  /** RFC 8839 section 4.4.1.1.1: new addresses for the same call. */
  restartIce(): Promise<void>;
  numbers(): Promise<CallNumbers>;
}

export interface LineEvents {
  status: LineStatus;
  incoming: Call;
  changed: CallView;
  ended: CallView;
  message: { from: Party; text: string };
}

export interface Line {
  readonly status: LineStatus;
  readonly calls: readonly Call[];
  on<Kind extends keyof LineEvents>(kind: Kind, listener: (details: LineEvents[Kind]) => void): () => void;
  start(): void;
  /** Ends all calls and the registration. */
  stop(): Promise<void>;
  call(target: string, media: MediaStream): Call;
  /** Settles when the other side has it; is refused with words when not. */
  sendMessage(target: string, text: string): Promise<void>;
  /** Another network, or awake again: check the connection, register anew, move the calls (RFC 5626, RFC 8445). */
  checkNetwork(): void;
}

/** Said by `Call` and `Line` when something did not work, in words for people. */
export class LineProblem extends Error {
  readonly code: number;

  constructor(words: string, code = 0) {
    super(words);
    this.name = "LineProblem";
    this.code = code;
  }
}
