// SPDX-License-Identifier: Apache-2.0
// Is the connection to the server really there? SIP over WebSocket (RFC 7118) that finds out and says why not.

const PING = "\r\n\r\n";
/** RFC 5626 section 4.4.1 wants a keep-alive at most every 120 s; home routers forget a connection after 30 s. */
const PING_EVERY = 25_000;
const PONG_WITHIN = 8_000;
/** After a change of network nobody wants to wait that long. */
const PONG_WITHIN_NOW = 2_000;
const OPEN_WITHIN = 10_000;

/** What JsSIP calls a Socket. A dead connection is dropped by us: the browser would notice after minutes. */
export class SipSocket {
  onconnect: () => void = () => {};
  ondisconnect: (error: boolean, code?: number, reason?: string) => void = () => {};
  ondata: (message: string | ArrayBuffer) => void = () => {};
  /** It was open at least once: then the address and the certificate are right. */
  wasOpen = false;
  readonly url: string;
  readonly sip_uri: string;
  readonly via_transport: string;
  #socket: WebSocket | null = null;
  #ticker = 0;
  #deadline = 0;

  constructor(url: string) {
    this.url = url;
    const { protocol, host } = new URL(url);
    const scheme = protocol === "wss:" ? "wss" : "ws";
    this.via_transport = scheme.toUpperCase();
    this.sip_uri = `sip:${host};transport=ws`;
  }

  connect(): void {
    if (this.#socket) return;
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.url, "sip");
    } catch {
      // a page from https may not open ws://
      queueMicrotask(() => this.ondisconnect(true, 0, "refused by the browser"));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    this.#expect(OPEN_WITHIN, "no answer");
    socket.onopen = () => {
      this.wasOpen = true;
      this.#calm();
      this.#ticker = window.setInterval(() => this.check(PONG_WITHIN), PING_EVERY);
      this.onconnect();
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      this.#calm();
      if (!isPong(data)) this.ondata(data);
    };
    socket.onclose = ({ code, reason }) => this.#leave(code !== 1000, code, reason);
  }

  disconnect(): void {
    this.#leave(false, 1000, "");
  }

  send(message: string): boolean {
    if (!this.isConnected()) return false;
    this.#socket?.send(message);
    return true;
  }

  isConnected(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  isConnecting(): boolean {
    return this.#socket?.readyState === WebSocket.CONNECTING;
  }

  /** Ask for a sign of life; without one the connection is dropped, and JsSIP makes a new one. */
  check(within: number = PONG_WITHIN_NOW): void {
    if (!this.isConnected()) return;
    this.#socket?.send(PING);
    this.#expect(within, "no sign of life");
  }

  /** Drop it as if the network had gone. */
  drop(reason: string): void {
    this.#leave(true, 0, reason);
  }

  #expect(within: number, what: string): void {
    window.clearTimeout(this.#deadline);
    this.#deadline = window.setTimeout(() => this.drop(what), within);
  }

  #calm(): void {
    window.clearTimeout(this.#deadline);
  }

  #leave(error: boolean, code: number, reason: string): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    this.#calm();
    window.clearInterval(this.#ticker);
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.ondisconnect(error, code, reason);
  }
}

function isPong(data: string | ArrayBuffer): boolean {
  return typeof data === "string" ? data === "\r\n" : data.byteLength === 2;
}
