// SPDX-License-Identifier: Apache-2.0
// Runs in the page before its own scripts: remembers connections, so that a test can measure what comes in.
{
  const connections = [];
  const sockets = [];
  const PeerConnection = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends PeerConnection {
    constructor(...given) {
      super(...given);
      connections.push(this);
    }
  };
  const Socket = globalThis.WebSocket;
  globalThis.WebSocket = class extends Socket {
    constructor(...given) {
      super(...given);
      if (new URL(this.url).pathname === '/ws') sockets.push(this);
    }
  };

  // The newest connection that is open: sums of energy heard, packets and pictures, and its ICE credentials.
  globalThis.measure = async () => {
    const connection = connections.findLast(({ connectionState }) => connectionState !== 'closed');
    const found = { energy: 0, packets: 0, frames: 0, ufrag: '' };
    if (!connection) return found;
    found.ufrag = /ice-ufrag:(\S+)/.exec(connection.localDescription?.sdp ?? '')?.[1] ?? '';
    (await connection.getStats()).forEach((report) => {
      if (report.type !== 'inbound-rtp') return;
      found.energy += report.totalAudioEnergy ?? 0;
      found.packets += report.packetsReceived ?? 0;
      found.frames += report.framesDecoded ?? 0;
    });
    return found;
  };
  globalThis.cutNetwork = () => sockets.at(-1).close();
}
