// SPDX-License-Identifier: Apache-2.0
// How loud is a track now? Between 0 and 1, as the eye expects it (decibels, not amplitude).

const QUIETEST = -60;
let shared: AudioContext | null = null;

/** One context for all: browsers allow only some. It sleeps until a person has clicked. */
export function audioContext(): AudioContext {
  shared ??= new AudioContext({ latencyHint: "interactive" });
  if (shared.state === "suspended") void shared.resume().catch(() => {});
  return shared;
}

/** Calls back some times a second until the returned function is called. */
export function watchLevel(track: MediaStreamTrack, tell: (level: number) => void): () => void {
  const context = audioContext();
  const analyser = new AnalyserNode(context, { fftSize: 512, smoothingTimeConstant: 0 });
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) });
  source.connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const ticker = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    const decibels = 10 * Math.log10(sum / samples.length + 1e-9);
    tell(Math.min(1, Math.max(0, 1 - (decibels + 6) / (QUIETEST + 6))));
  }, 66);
  return () => {
    clearInterval(ticker);
    source.disconnect();
    tell(0);
  };
}
