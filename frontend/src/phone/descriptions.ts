// SPDX-License-Identifier: Apache-2.0
// What do the session descriptions of a connection say? The few lines of SDP that we look at.

/** RFC 8839 section 5.4: another one means that ICE begins anew. */
export function ufragOf(sdp: string): string {
  return /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1] ?? "";
}

/** RFC 8842: with whom we have keys, by the certificate, and whether we are the one who speaks first. */
export function dtlsOf(connection: RTCPeerConnection): { fingerprint: string; isClient: boolean } {
  const [ours, theirs] = [connection.currentLocalDescription, connection.currentRemoteDescription];
  const fingerprint = /^a=fingerprint:(.+)$/m.exec(theirs?.sdp ?? "")?.[1]?.trim() ?? "";
  const answered = ours?.type === "answer" ? ours.sdp : (theirs?.sdp ?? "");
  const isAnswererActive = /^a=setup:active/m.test(answered);
  return { fingerprint, isClient: isAnswererActive === (ours?.type === "answer") };
}

/** The other side wants to show a picture. */
export function offersVideo(sdp: string): boolean {
  return /^m=video [1-9]/m.test(sdp);
}
