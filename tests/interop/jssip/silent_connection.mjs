// SPDX-License-Identifier: Apache-2.0
// Stands in for RTCPeerConnection where there is no WebRTC: offers and answers one audio stream that never carries a
// sound, so that JsSIP makes whole calls, with ACK and BYE, and only the media is missing.

const SDP = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', 'm=audio 9 RTP/AVP 0', 'a=inactive', '']
  .join('\r\n');

export class SilentConnection extends EventTarget {
  iceConnectionState = 'new';
  iceGatheringState = 'complete';
  signalingState = 'stable';
  localDescription = null;

  async createOffer() {
    return { type: 'offer', sdp: SDP };
  }

  async createAnswer() {
    return { type: 'answer', sdp: SDP };
  }

  async setLocalDescription(description) {
    this.localDescription = description;
  }

  async setRemoteDescription() {}

  getSenders() {
    return [];
  }

  close() {
    this.signalingState = 'closed';
  }
}
