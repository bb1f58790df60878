// SPDX-License-Identifier: Apache-2.0
// How does a call of JsSIP look when it begins?
import type { RTCSession } from "jssip/lib/RTCSession";
import { offersVideo } from "./descriptions";
import type { JsSipSession } from "./jssip_inside";
import type { CallView, Party } from "./line";

export function freshView(session: RTCSession, party: Party, media: MediaStream | null): CallView {
  const isIncoming = (session.direction as string) === "incoming";
  const offered = (session as JsSipSession)._request?.body ?? "";
  return {
    id: session.id,
    direction: isIncoming ? "in" : "out",
    party,
    state: isIncoming ? "incoming" : "dialling",
    startedAt: Date.now(),
    answeredAt: null,
    isHeld: false,
    isHeldByOther: false,
    isMuted: false,
    isMending: false,
    hasEarlySound: false,
    offersVideo: isIncoming && offersVideo(offered),
    localVideo: media?.getVideoTracks()[0] ?? null,
    remoteVideo: null,
    remoteAudio: null,
    transfer: "",
    outcome: "",
    code: 0,
  };
}
