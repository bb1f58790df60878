// SPDX-License-Identifier: Apache-2.0
// How good is a call at this moment? Read from the statistics of W3C webrtc-stats.
import type { CallNumbers } from "./line";

export const NO_NUMBERS: CallNumbers = {
  packetsReceived: 0,
  packetsLost: 0,
  jitter: 0,
  roundTrip: 0,
  energyHeard: 0,
  levelHeard: 0,
  framesDecoded: 0,
  codec: "",
};

export async function numbersOf(connection: RTCPeerConnection | null): Promise<CallNumbers> {
  const numbers = { ...NO_NUMBERS };
  if (!connection) return numbers;
  const reports = await connection.getStats();
  reports.forEach((report: Record<string, unknown>) => {
    const amount = (name: string) => Number(report[name] ?? 0);
    if (report["type"] === "inbound-rtp" && report["kind"] === "audio") {
      numbers.packetsReceived += amount("packetsReceived");
      numbers.packetsLost += amount("packetsLost");
      numbers.jitter = amount("jitter");
      numbers.energyHeard += amount("totalAudioEnergy");
      numbers.levelHeard = amount("audioLevel");
      const codec = reports.get(String(report["codecId"])) as { mimeType?: string } | undefined;
      numbers.codec = codec?.mimeType?.split("/")[1] ?? "";
    } else if (report["type"] === "inbound-rtp" && report["kind"] === "video") {
      numbers.framesDecoded += amount("framesDecoded");
    } else if (report["type"] === "candidate-pair" && report["nominated"]) {
      numbers.roundTrip = amount("currentRoundTripTime");
    }
  });
  return numbers;
}

/** Four bars at most: lost packets and jitter are what people hear. */
export function barsOf(now: CallNumbers, before: CallNumbers): number {
  const received = now.packetsReceived - before.packetsReceived;
  const lost = Math.max(0, now.packetsLost - before.packetsLost);
  if (received <= 0) return 0;
  const share = lost / (received + lost);
  if (share > 0.08 || now.jitter > 0.12) return 1;
  if (share > 0.03 || now.jitter > 0.06) return 2;
  if (share > 0.01 || now.jitter > 0.03 || now.roundTrip > 0.4) return 3;
  return 4;
}
