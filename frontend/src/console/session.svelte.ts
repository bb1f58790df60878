// SPDX-License-Identifier: Apache-2.0
// Who is signed in, and what may they do? Asked once; forgotten when the server says that the session is over.
import { api, useCsrf, whenSignedOut } from "$lib/api";
import { events } from "$lib/events";
import type { Person, Role, SessionBody } from "$lib/types";
import { route } from "./route.svelte";

const RANK: Record<Role, number> = { person: 0, operator: 1, admin: 2, owner: 3 };

class Session {
  person = $state<Person | null>(null);
  known = $state(false);
  setUp = $state(true);
  problem = $state("");

  async load(): Promise<void> {
    try {
      this.take(await api.get<SessionBody>("/session", undefined, { quiet: true }));
      this.problem = "";
    } catch (reason) {
      this.problem = (reason as Error).message;
      window.setTimeout(() => void this.load(), 3000);
    }
  }

  take(body: SessionBody): void {
    const before = this.person?.id;
    this.person = body.person;
    this.setUp = body.set_up;
    useCsrf(body.csrf);
    this.known = true;
    if (before !== this.person?.id) events.restart();
  }

  may(role: Role): boolean {
    return !!this.person && RANK[this.person.role] >= RANK[role];
  }

  async signOut(): Promise<void> {
    await api.remove("/session", { quiet: true }).catch(() => undefined);
    this.forget();
    route.go("/login");
  }

  forget(): void {
    this.person = null;
    useCsrf("");
    events.restart();
  }
}

export const session = new Session();

whenSignedOut(() => {
  if (!session.person) return;
  session.forget();
  route.go(`/login?next=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
});
