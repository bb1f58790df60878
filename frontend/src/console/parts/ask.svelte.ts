// SPDX-License-Identifier: Apache-2.0
// Are you sure? Asked before something is gone; the page waits for the answer.

export type Question = { title: string; text: string; action: string; danger?: boolean };

class Ask {
  question = $state<Question | null>(null);
  #answer: (yes: boolean) => void = () => {};

  sure(question: Question): Promise<boolean> {
    this.#answer(false);
    this.question = question;
    return new Promise((resolve) => (this.#answer = resolve));
  }

  say(yes: boolean): void {
    this.question = null;
    this.#answer(yes);
    this.#answer = () => {};
  }
}

export const ask = new Ask();
