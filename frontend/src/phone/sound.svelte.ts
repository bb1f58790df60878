// SPDX-License-Identifier: Apache-2.0
// Which microphone, loudspeaker and camera are used, do they work, and how loud is it? Opened late, closed early.
import { LineProblem } from "./line";
import { kept, keep } from "./keeping";
import { deviceWords, insecureWords } from "./words";

export interface Choice {
  id: string;
  label: string;
}

type Kind = "microphone" | "speaker" | "camera";

const PROCESSED = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
/** A closed microphone takes its light with it; a moment later, so that a second call does not make it blink. */
const CLOSE_AFTER = 1_000;

export class Sound {
  microphones = $state.raw<Choice[]>([]);
  speakers = $state.raw<Choice[]>([]);
  cameras = $state.raw<Choice[]>([]);
  chosen = $state({
    microphone: kept("microphone", ""),
    speaker: kept("speaker", ""),
    camera: kept("camera", ""),
  });
  /** Why there is no microphone, in words; empty when there is one or nobody asked yet. */
  problem = $state("");
  permission = $state<"unknown" | "prompt" | "granted" | "denied">("unknown");
  #microphone: MediaStreamTrack | null = null;
  #users = 0;
  #closing = 0;

  get isSecure(): boolean {
    return Boolean(navigator.mediaDevices);
  }

  get canChooseSpeaker(): boolean {
    return "setSinkId" in HTMLMediaElement.prototype;
  }

  async begin(): Promise<void> {
    if (!this.isSecure) {
      this.problem = insecureWords("microphone");
      this.permission = "denied";
      return;
    }
    navigator.mediaDevices.addEventListener("devicechange", () => void this.look());
    try {
      const status = await navigator.permissions.query({ name: "microphone" as PermissionName });
      const read = () => {
        this.permission = status.state;
        if (status.state === "granted") this.problem = "";
      };
      status.addEventListener("change", read);
      read();
    } catch {
      this.permission = "prompt"; // Firefox before 131 does not tell
    }
    if (this.permission === "denied") this.problem = deviceWords(new DOMException("", "NotAllowedError"), "microphone");
    await this.look();
  }

  /** The names of devices are told only once the microphone was allowed. */
  async look(): Promise<void> {
    const devices = await navigator.mediaDevices.enumerateDevices();
    const of = (kind: MediaDeviceKind, name: string): Choice[] =>
      devices
        .filter((one) => one.kind === kind && one.deviceId !== "")
        .map(({ deviceId, label }, index) => ({ id: deviceId, label: label || `${name} ${index + 1}` }));
    this.microphones = of("audioinput", "Microphone");
    this.speakers = of("audiooutput", "Loudspeaker");
    this.cameras = of("videoinput", "Camera");
  }

  choose(kind: Kind, id: string): void {
    this.chosen[kind] = id;
    keep(kind, id);
  }

  /** A track of its own for each call (its mute is its own); `release` it when the call is over. */
  async microphone(): Promise<MediaStreamTrack> {
    clearTimeout(this.#closing);
    this.#users += 1;
    try {
      if (!this.#microphone || this.#microphone.readyState === "ended") {
        this.#microphone = await this.#open("microphone", { audio: wanted(this.chosen.microphone, PROCESSED) });
        this.permission = "granted";
        void this.look();
      }
      this.problem = "";
      return this.#microphone.clone();
    } catch (reason) {
      this.release();
      this.problem = reason instanceof Error ? reason.message : String(reason);
      throw reason;
    }
  }

  release(): void {
    this.#users = Math.max(0, this.#users - 1);
    if (this.#users > 0) return;
    clearTimeout(this.#closing);
    this.#closing = window.setTimeout(() => {
      this.#microphone?.stop();
      this.#microphone = null;
    }, CLOSE_AFTER);
  }

  /** After another one was chosen: the next track comes from that one. */
  forgetMicrophone(): void {
    this.#microphone?.stop();
    this.#microphone = null;
  }

  camera(): Promise<MediaStreamTrack> {
    const size = { width: { ideal: 960 }, height: { ideal: 540 }, frameRate: { ideal: 25, max: 30 } };
    return this.#open("camera", { video: wanted(this.chosen.camera, size) });
  }

  async #open(what: "microphone" | "camera", constraints: MediaStreamConstraints): Promise<MediaStreamTrack> {
    if (!this.isSecure) throw new LineProblem(insecureWords(what));
    try {
      const stream = await navigator.mediaDevices.getUserMedia(constraints);
      const track = stream.getTracks()[0];
      if (track) return track;
    } catch (reason) {
      if (reason instanceof DOMException && reason.name === "OverconstrainedError" && this.chosen[what]) {
        this.choose(what, ""); // it was unplugged: the usual one then
        return this.#open(what, what === "camera" ? { video: true } : { audio: PROCESSED });
      }
      throw new LineProblem(deviceWords(reason, what));
    }
    throw new LineProblem(deviceWords(new DOMException("", "NotFoundError"), what));
  }
}

function wanted(id: string, more: MediaTrackConstraints): MediaTrackConstraints {
  return id ? { ...more, deviceId: { exact: id } } : more;
}
