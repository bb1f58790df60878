// SPDX-License-Identifier: Apache-2.0
// What of JsSIP do we touch that its types do not tell? All of it is here, to look at with every new version.
import type { ReInviteEvent, RTCSession, TerminateOptions } from "jssip/lib/RTCSession";
import { ufragOf } from "./descriptions";

export interface JsSipSession extends RTCSession {
  _request?: { call_id: string; body?: string };
  _from_tag: string;
  _to_tag: string;
  _rtcOfferConstraints: RTCOfferOptions | null;
  _rtcAnswerConstraints: RTCOfferOptions | null;
}

export interface JsSipTransport {
  connect(): void;
  isConnected(): boolean;
  isConnecting(): boolean;
}

/** What JsSIP reads from the session that a Replaces header names. */
export interface Replaced {
  _request: { call_id: string };
  _to_tag: string;
  _from_tag: string;
}

/** RFC 3891: the tags as the OTHER side of that dialog sees them. JsSIP 3.13 always takes ours for the From tag,
 *  which is wrong when we were called. */
export function replacedBy(session: JsSipSession): Replaced {
  const wasCalled = (session.direction as string) === "incoming";
  return {
    _request: { call_id: session._request?.call_id ?? "" },
    _to_tag: wasCalled ? session._from_tag : session._to_tag,
    _from_tag: wasCalled ? session._to_tag : session._from_tag,
  };
}

const REFUSED_OFFERS = ["Hold Failed", "Unhold Failed", "Media Renegotiation Failed"];

/** JsSIP terminates for these by itself; the sound of the call is not over by that. */
export function isSurvivable({ cause, reason_phrase }: TerminateOptions): boolean {
  if (cause === "RTP Timeout" || cause === "Connection Error") return true;
  return cause === "WebRTC Error" && REFUSED_OFFERS.includes(reason_phrase ?? "");
}

/** ICE begins anew in the middle of a call, and JsSIP 3.13 does not see it.
 *
 *  Asked for an offer, we will speak with somebody else (a transfer) and MUST restart ICE (RFC 8839 section 9.2);
 *  JsSIP would offer what it had. Offered new ICE credentials, we answer with new candidates (section 4.4.3);
 *  JsSIP would not wait for them. */
export function speakAfresh(session: JsSipSession, event: ReInviteEvent): void {
  const { body } = event.request as { body?: string };
  const [offers, answers] = [session._rtcOfferConstraints, session._rtcAnswerConstraints];
  if (!body) session._rtcOfferConstraints = { ...offers, iceRestart: true };
  else if (ufragOf(body) !== ufragOf(session.connection.currentRemoteDescription?.sdp ?? "")) {
    session._rtcAnswerConstraints = { ...answers, iceRestart: true };
  }
  event.callback = () => {
    session._rtcOfferConstraints = offers;
    session._rtcAnswerConstraints = answers;
  };
}
