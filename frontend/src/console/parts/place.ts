// SPDX-License-Identifier: Apache-2.0
// How does one press call somebody? Your own phones ring; who picks up is connected.
import { api } from "$lib/api";
import { toast } from "$lib/components";
import { session } from "../session.svelte";

export async function place(to: string, name = ""): Promise<void> {
  const from = session.person?.number;
  if (!from) {
    toast.note("You have no number yet. Give yourself one under People; then your phones can ring.");
    return;
  }
  try {
    await api.post("/calls", { from, to });
    toast.good(`Your phone rings now. Pick up, and ${name || to} is called.`);
  } catch (reason) {
    toast.bad(reason);
  }
}
