// SPDX-License-Identifier: Apache-2.0
// What does this browser remember of the phone? A little in localStorage; where that is off, nothing.

const PREFIX = "ringback.phone.";

export function kept<Value>(name: string, otherwise: Value): Value {
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? otherwise : (JSON.parse(text) as Value);
  } catch {
    return otherwise;
  }
}

export function keep(name: string, value: unknown): void {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // storage is off or full: the phone works without
  }
}
