// SPDX-License-Identifier: Apache-2.0
// How are messages drawn of which there is no record (a request that never became a call)? Peers left and right of us.
import type { Arrow, Column, Picture, TraceMessage } from "$lib/types";

const KINDS: [number, string][] = [[200, "provisional"], [300, "success"], [400, "redirect"]];

export function pictureOf(messages: readonly TraceMessage[]): Picture {
  const peers = [...new Set(messages.map((message) => message.remote))];
  const columns: Column[] = peers.map((address, index) => ({ id: `peer${index + 1}`, label: userOf(messages.find((each) => each.remote === address)!) || address, address }));
  columns.splice(1, 0, { id: "server", label: "Ringback", address: messages[0]?.local ?? "" });
  const arrows: Arrow[] = [];
  for (const [index, message] of messages.entries()) {
    const same = arrows.find((arrow) => messages[arrow.index!]!.text === message.text && messages[arrow.index!]!.direction === message.direction && messages[arrow.index!]!.remote === message.remote);
    if (same) same.repeats += 1;
    else arrows.push(arrowOf(message, index, messages[0]!.at, columns));
  }
  return { columns, arrows, lanes: [] };
}

function arrowOf(message: TraceMessage, index: number, start: number, columns: readonly Column[]): Arrow {
  const peer = columns.find((column) => column.id !== "server" && column.address === message.remote)?.id ?? "server";
  const [from, to] = message.direction === "received" ? [peer, "server"] : ["server", peer];
  const words = message.status ? `${message.summary.replace(/^\S+ /, "")} (${message.cseq.split(" ").at(-1)})` : message.method;
  const kind = message.status ? (KINDS.find(([limit]) => message.status < limit)?.[1] ?? "failure") : "request";
  const note = message.status === 401 || message.status === 407 ? "asks for the password" : "";
  return { at: message.at, offset: message.at - start, from, to, label: words, kind, index, repeats: 0, note };
}

/** Requests come from the one in From and go to the one in To; responses the other way. */
function userOf(message: TraceMessage): string {
  const isSender = (message.direction === "received") === !message.status;
  return /^sips?:([^@;:>]+)@/.exec(isSender ? message.from : message.to)?.[1] ?? "";
}
