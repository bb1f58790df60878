// SPDX-License-Identifier: Apache-2.0
// How is JsSIP's user agent a `Line`? Registration, calls and messages over one WebSocket that mends itself.
import { UA, type NameAddrHeader } from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import type { IncomingResponse } from "jssip/lib/SIPMessage";
import type { IncomingMessageEvent, OutgoingMessageEvent, RTCSessionEvent } from "jssip/lib/UA";
import { JsSipCall } from "./jssip_call";
import type { JsSipTransport } from "./jssip_inside";
import { type Account, type Call, type Line, type LineEvents, LineProblem, type LineStatus, type Party } from "./line";
import { Listeners } from "./listeners";
import { SipSocket } from "./sip_socket";
import { callWords, connectionWords, registrationWords } from "./words";

/** Short, so that a phone that was switched off is soon not called in vain any more. */
const REGISTER_EXPIRES = 180;
const RETRY_FIRST = 4_000;
const RETRY_LONGEST = 60_000;
/** More waiting calls than this are "busy". */
const MOST_CALLS = 4;
const MOST_TEXT = 4_000;
const GOODBYE_WITHIN = 2_000;
/** Answers to REGISTER after which trying again with the same password is no use. */
const FINAL = [401, 403, 404, 407];

export class JsSipLine implements Line {
  status: LineStatus = { state: "off", words: "", code: 0 };
  #account: Account;
  #socket: SipSocket;
  #agent: UA;
  #calls = new Map<string, JsSipCall>();
  #listeners = new Listeners<LineEvents>();
  #retry = 0;
  #wait = RETRY_FIRST;
  #wasReady = false;

  constructor(account: Account) {
    this.#account = account;
    this.#socket = new SipSocket(account.ws);
    this.#agent = new UA({
      sockets: [this.#socket as never],
      uri: account.uri,
      ...(account.name ? { display_name: account.name } : {}),
      realm: account.realm,
      ha1: account.ha1,
      register: account.isReachable,
      register_expires: REGISTER_EXPIRES,
      user_agent: "Ringback phone",
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 15,
      no_answer_timeout: 180,
    });
    this.#listen();
  }

  get calls(): readonly Call[] {
    return [...this.#calls.values()];
  }

  on<Kind extends keyof LineEvents>(kind: Kind, listener: (details: LineEvents[Kind]) => void): () => void {
    return this.#listeners.on(kind, listener);
  }

  start(): void {
    this.#agent.start();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#retry);
    if (this.status.state === "off") return;
    const gone = new Promise<void>((resolve) => {
      this.#agent.on("disconnected", () => resolve());
      setTimeout(resolve, GOODBYE_WITHIN);
    });
    this.#agent.stop();
    await gone;
    this.#tell("off", "");
  }

  call(target: string, media: MediaStream): Call {
    const iceServers = this.#account.iceServers;
    if (!this.#socket.isConnected()) {
      throw new LineProblem(this.status.words || "There is no connection to the server.");
    }
    let session: RTCSession;
    try {
      session = this.#agent.call(this.#address(target), { mediaStream: media, pcConfig: { iceServers } });
    } catch {
      throw new LineProblem("That is not a number one can call.");
    }
    session.data = { iceServers };
    return this.#adopt(session, { number: target, name: "" }, media);
  }

  sendMessage(target: string, text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#socket.isConnected()) return reject(new LineProblem("There is no connection to the server."));
      this.#agent.sendMessage(this.#address(target), text, {
        eventHandlers: {
          succeeded: () => resolve(),
          failed: ({ response }: { response?: IncomingResponse | null }) => {
            const code = response?.status_code ?? 408;
            reject(new LineProblem(callWords(code, response?.reason_phrase ?? ""), code));
          },
        },
      } as never);
    });
  }

  checkNetwork(): void {
    if (this.#socket.isConnected()) return this.#socket.check();
    const { transport } = this.#agent as unknown as { transport: JsSipTransport };
    if (this.status.state !== "off" && !transport.isConnecting()) transport.connect();
  }

  #address(target: string): string {
    const dialled = target.trim();
    if (/^sips?:/i.test(dialled)) return dialled;
    // People write numbers with blanks and brackets; nobody dials them.
    const number = /^[+\d\s().\-/*#]+$/.test(dialled) ? dialled.replace(/[\s().\-/]/g, "") : dialled;
    const user = encodeURIComponent(number).replace(/%2B/g, "+").replace(/%40/g, "@");
    return user.includes("@") ? `sip:${user}` : `sip:${user}@${this.#account.domain}`;
  }

  #listen(): void {
    const agent = this.#agent;
    agent.on("connecting", () => this.#tell("connecting", this.status.words));
    agent.on("connected", () => {
      if (!this.#account.isReachable) this.#ready();
    });
    agent.on("disconnected", () => this.#lost());
    agent.on("registered", () => this.#ready());
    agent.on("registrationFailed", ({ response }) => this.#refused(response));
    agent.on("newRTCSession", ({ originator, session }: RTCSessionEvent) => {
      if ((originator as string) === "remote") this.#ring(session);
    });
    agent.on("newMessage", (event: IncomingMessageEvent | OutgoingMessageEvent) => {
      if ((event.originator as string) !== "remote") return;
      const { from, body } = event.request as unknown as { from: NameAddrHeader; body?: string };
      this.#listeners.tell("message", { from: partyOf(from), text: (body ?? "").slice(0, MOST_TEXT) });
    });
  }

  #ring(session: RTCSession): void {
    if (this.#calls.size >= MOST_CALLS) return session.terminate({ status_code: 486 });
    session.data = { iceServers: this.#account.iceServers };
    const call = this.#adopt(session, partyOf(session.remote_identity), null);
    this.#listeners.tell("incoming", call);
  }

  #adopt(session: RTCSession, party: Party, media: MediaStream | null): JsSipCall {
    const call = new JsSipCall(session, party, {
      isConnected: () => this.#socket.isConnected(),
      changed: ({ id, view }) => {
        if (this.#calls.has(id)) this.#listeners.tell("changed", view);
      },
      ended: ({ id, view }) => {
        this.#calls.delete(id);
        this.#listeners.tell("ended", view);
      },
    }, media);
    this.#calls.set(call.id, call);
    this.#listeners.tell("changed", call.view);
    return call;
  }

  #ready(): void {
    clearTimeout(this.#retry);
    this.#wait = RETRY_FIRST;
    const isBack = this.#wasReady && this.status.state !== "ready";
    this.#wasReady = true;
    this.#tell("ready", "");
    // The server has to learn the new connection of every call, and the call the new addresses of this device.
    if (isBack) for (const call of this.#calls.values()) void call.restartIce().catch(() => {});
  }

  #lost(): void {
    clearTimeout(this.#retry);
    this.#tell("lost", connectionWords(this.#socket.wasOpen, navigator.onLine));
  }

  #refused(response: IncomingResponse | null): void {
    const code = response?.status_code ?? 0;
    if (!this.#socket.isConnected()) return; // said already: the connection is gone
    const isFinal = FINAL.includes(code);
    this.#tell(isFinal ? "refused" : "lost", registrationWords(code, response?.reason_phrase ?? ""), code);
    if (isFinal) return;
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.#agent.register(), this.#wait);
    this.#wait = Math.min(this.#wait * 2, RETRY_LONGEST);
  }

  #tell(state: LineStatus["state"], words: string, code = 0): void {
    this.status = { state, words, code };
    this.#listeners.tell("status", this.status);
  }
}

function partyOf(identity: NameAddrHeader): Party {
  return { number: identity.uri.user ?? identity.uri.host, name: identity.display_name ?? "" };
}
