// SPDX-License-Identifier: Apache-2.0
// Who wants to hear of which event? Typed events without a library.

export class Listeners<Events> {
  #those = new Map<keyof Events, Set<(details: never) => void>>();

  on<Kind extends keyof Events>(kind: Kind, listener: (details: Events[Kind]) => void): () => void {
    const those = this.#those.get(kind) ?? new Set();
    this.#those.set(kind, those.add(listener));
    return () => those.delete(listener);
  }

  tell<Kind extends keyof Events>(kind: Kind, details: Events[Kind]): void {
    for (const listener of [...(this.#those.get(kind) ?? [])]) {
      (listener as (details: Events[Kind]) => void)(details);
    }
  }
}
