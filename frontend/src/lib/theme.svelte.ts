// SPDX-License-Identifier: Apache-2.0
// Light, dark, or as the system says? The choice is kept in this browser (public/theme.js reads it first).

export type Theme = "system" | "light" | "dark";
const KEY = "ringback.theme";

class Choice {
  #now = $state<Theme>((document.documentElement.dataset["theme"] as Theme | undefined) ?? "system");

  get now(): Theme {
    return this.#now;
  }

  choose(theme: Theme): void {
    this.#now = theme;
    const root = document.documentElement;
    try {
      if (theme === "system") {
        delete root.dataset["theme"];
        localStorage.removeItem(KEY);
      } else {
        root.dataset["theme"] = theme;
        localStorage.setItem(KEY, theme);
      }
    } catch {
      // storage is off: the choice holds until the page closes
    }
  }
}

export const theme = new Choice();
