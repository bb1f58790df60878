// SPDX-License-Identifier: Apache-2.0
// Where in the console are we? The address says; links of ours change it without loading the page afresh.

/** These belong to other pages or to the server: the browser follows such links by itself. */
const ELSEWHERE = /^\/(phone|call|docs|api|trust|openapi\.json|healthz|readyz|events|assets)(\/|$)/;

class Route {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));
  /** Asked before this page is left for another one: true lets go (unsaved settings). */
  mayLeave: (() => Promise<boolean>) | null = null;

  go(address: string, options: { replace?: boolean } = {}): void {
    const url = new URL(address, location.href);
    if (!this.mayLeave || url.pathname === this.path || ELSEWHERE.test(url.pathname)) return this.#move(url, options);
    void this.mayLeave().then((yes) => {
      if (yes) this.#move(url, options);
    });
  }

  #move(url: URL, { replace = false }: { replace?: boolean }): void {
    if (ELSEWHERE.test(url.pathname) || url.origin !== location.origin) {
      location.assign(url);
      return;
    }
    const moved = url.pathname !== this.path;
    history[replace ? "replaceState" : "pushState"]({}, "", url);
    this.read();
    if (moved) window.scrollTo(0, 0);
  }

  /** The same page with other words in the address (filters), so that it can be kept and sent. */
  ask(words: Record<string, string>): void {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(words)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    const text = query.toString();
    this.go(this.path + (text ? `?${text}` : ""), { replace: true });
  }

  read = (): void => {
    this.path = location.pathname.replace(/(.)\/+$/, "$1");
    this.query = new URLSearchParams(location.search);
  };

  /** One listener for all links of the page. */
  follow = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest?.("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (ELSEWHERE.test(link.pathname)) return;
    event.preventDefault();
    this.go(link.href);
  };
}

export const route = new Route();
