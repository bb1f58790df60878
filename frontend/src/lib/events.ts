// SPDX-License-Identifier: Apache-2.0
// How does a page hear at once what happens? One WebSocket to /events, opened when somebody listens, kept open.

export type Happening = { kind: string; at: number } & Record<string, unknown>;
type Listener = (happening: Happening) => void;

const FIRST_WAIT = 500;
const LONGEST_WAIT = 20_000;

class Events {
  #listeners = new Map<string, Set<Listener>>();
  #states = new Set<(open: boolean) => void>();
  #socket: WebSocket | null = null;
  #wait = FIRST_WAIT;
  #timer = 0;
  #wasOpen = false;
  open = false;

  /** Hear of one kind ("call.ended"), of a family ("call.*") or of all ("*"). "events.resumed" comes after a
   *  connection that was lost: what happened meanwhile is not told again, so load afresh. */
  on(kind: string, listener: Listener): () => void {
    const those = this.#listeners.get(kind) ?? new Set();
    this.#listeners.set(kind, those.add(listener));
    this.#connect();
    return () => {
      those.delete(listener);
      if (those.size === 0) this.#listeners.delete(kind);
      if (this.#listeners.size === 0) this.#leave();
    };
  }

  /** Told now and whenever the connection opens or closes. */
  watch(listener: (open: boolean) => void): () => void {
    this.#states.add(listener);
    listener(this.open);
    return () => this.#states.delete(listener);
  }

  /** After signing in or out: the server decides anew what this person may hear. */
  restart(): void {
    this.#leave();
    this.#wasOpen = false;
    if (this.#listeners.size > 0) this.#connect();
  }

  #connect(): void {
    if (this.#socket || this.#timer) return;
    const socket = new WebSocket(`${location.protocol === "http:" ? "ws" : "wss"}://${location.host}/events`);
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait = FIRST_WAIT;
      this.#tell(true);
      if (this.#wasOpen) this.#deliver({ kind: "events.resumed", at: Date.now() / 1000 });
      this.#wasOpen = true;
    };
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") return;
      try {
        const happening = JSON.parse(data) as Happening;
        if (typeof happening.kind !== "string") return;
        // the server left some out: the same as a connection that was lost
        this.#deliver(happening.kind === "events.lost" ? { ...happening, kind: "events.resumed" } : happening);
      } catch {
        // not ours
      }
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#tell(false);
      if (this.#listeners.size === 0) return;
      // half of the wait by chance: a hundred pages must not come back in the same moment
      const wait = this.#wait / 2 + Math.random() * (this.#wait / 2);
      this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
      this.#timer = window.setTimeout(() => {
        this.#timer = 0;
        this.#connect();
      }, wait);
    };
  }

  #leave(): void {
    window.clearTimeout(this.#timer);
    this.#timer = 0;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#tell(false);
  }

  #tell(open: boolean): void {
    if (this.open === open) return;
    this.open = open;
    for (const listener of this.#states) listener(open);
  }

  #deliver(happening: Happening): void {
    const family = happening.kind.slice(0, happening.kind.indexOf(".") + 1) + "*";
    for (const kind of [happening.kind, family, "*"]) {
      for (const listener of [...(this.#listeners.get(kind) ?? [])]) listener(happening);
    }
  }
}

export const events = new Events();
