// SPDX-License-Identifier: Apache-2.0
// What does one hear before the other side speaks? Tones made here, no files: ringing, waiting, busy, keys.
import { audioContext } from "./level";

export type Tone = "" | "incoming" | "waiting" | "ringback" | "busy";

interface Pattern {
  frequencies: number[];
  /** Seconds of sound and of silence in turn. */
  beats: number[];
  volume: number;
  isRepeated: boolean;
}

/** ITU-T E.180: 425 Hz is what most countries use for what the caller hears. */
const PATTERNS: Record<Exclude<Tone, "">, Pattern> = {
  incoming: { frequencies: [523.25, 659.25], beats: [0.4, 0.2, 0.4, 2.0], volume: 0.22, isRepeated: true },
  waiting: { frequencies: [587.33], beats: [0.12, 0.12, 0.12, 6.0], volume: 0.08, isRepeated: true },
  ringback: { frequencies: [425], beats: [1.0, 4.0], volume: 0.07, isRepeated: true },
  busy: { frequencies: [425], beats: [0.45, 0.45, 0.45, 0.45, 0.45, 0.45], volume: 0.08, isRepeated: false },
};

/** ITU-T Q.23: the two tones of each key, so that the one who presses hears it too. */
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477];
const KEYS = "123456789*0#";

export class Ringer {
  #tone: Tone = "";
  #stop: () => void = () => {};

  /** Plays one tone at a time; the empty one is silence. */
  play(tone: Tone): void {
    if (tone === this.#tone) return;
    this.#stop();
    this.#tone = tone;
    if (tone === "") return;
    const pattern = PATTERNS[tone];
    const length = pattern.beats.reduce((sum, beat) => sum + beat, 0);
    let silence = sound(pattern);
    const repeat = pattern.isRepeated ? window.setInterval(() => (silence = sound(pattern)), length * 1000) : 0;
    if (!pattern.isRepeated) window.setTimeout(() => this.#tone === tone && this.play(""), length * 1000);
    const buzz = tone === "incoming" ? vibrate() : 0;
    this.#stop = () => {
      window.clearInterval(repeat);
      window.clearInterval(buzz);
      if (buzz) navigator.vibrate?.(0);
      silence();
    };
  }

  key(key: string): void {
    const index = KEYS.indexOf(key);
    if (index < 0) return;
    const frequencies = [ROWS[Math.floor(index / 3)] ?? 0, COLUMNS[index % 3] ?? 0];
    sound({ frequencies, beats: [0.12], volume: 0.06, isRepeated: false });
  }
}

function vibrate(): number {
  const once = () => navigator.vibrate?.([400, 200, 400]);
  once();
  return window.setInterval(once, 3000);
}

/** Plans one round of a pattern in the audio clock; the returned function silences it. */
function sound({ frequencies, beats, volume }: Pattern): () => void {
  const context = audioContext();
  if (context.state !== "running") void context.resume().catch(() => {});
  const gain = new GainNode(context, { gain: 0 });
  gain.connect(context.destination);
  let at = context.currentTime + 0.02;
  beats.forEach((beat, index) => {
    if (index % 2 === 0) {
      gain.gain.setTargetAtTime(volume, at, 0.008);
      gain.gain.setTargetAtTime(0, at + beat, 0.012);
    }
    at += beat;
  });
  const oscillators = frequencies.map((frequency) => new OscillatorNode(context, { frequency }));
  for (const oscillator of oscillators) {
    oscillator.connect(gain);
    oscillator.start();
    oscillator.stop(at);
  }
  return () => {
    gain.disconnect();
    for (const oscillator of oscillators) oscillator.disconnect();
  };
}
