// SPDX-License-Identifier: Apache-2.0
// What just happened? A short line at the edge of the page that goes by itself.

export type Said = { id: number; tone: "good" | "bad" | "note"; text: string };

class Toasts {
  list = $state<Said[]>([]);
  #next = 1;

  good(text: string): void {
    this.#say("good", text, 4_000);
  }

  note(text: string): void {
    this.#say("note", text, 5_000);
  }

  /** What went wrong, from an error or a sentence; stays longer, for it must be read. */
  bad(reason: unknown): void {
    this.#say("bad", reason instanceof Error ? reason.message : String(reason), 9_000);
  }

  leave(id: number): void {
    this.list = this.list.filter((said) => said.id !== id);
  }

  #say(tone: Said["tone"], text: string, stay: number): void {
    const id = this.#next++;
    this.list = [...this.list.filter((said) => said.text !== text).slice(-2), { id, tone, text }];
    window.setTimeout(() => this.leave(id), stay);
  }
}

export const toast = new Toasts();
