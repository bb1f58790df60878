// SPDX-License-Identifier: Apache-2.0
// Which keys of the keyboard do what? One table: the phone obeys it, and the page behind "?" shows it.
import type { Phone } from "./phone.svelte";

export interface Shortcut {
  keys: string;
  words: string;
  act: (phone: Phone) => void;
}

export const SHORTCUTS: readonly Shortcut[] = [
  { keys: "A", words: "Answer the call that rings", act: (phone) => answerFirst(phone, false) },
  { keys: "V", words: "Answer with video; in a call: camera on or off", act: (phone) => video(phone) },
  { keys: "X", words: "Hang up, or decline", act: (phone) => leave(phone) },
  { keys: "M", words: "Mute, or speak again", act: (phone) => inCall(phone, (id) => phone.toggleMute(id)) },
  { keys: "H", words: "Hold, or talk again", act: (phone) => inCall(phone, (id) => void phone.toggleHold(id)) },
  { keys: "T", words: "Transfer the call", act: (phone) => inCall(phone, (id) => (phone.transferring = id)) },
  { keys: "S", words: "Switch to the other call", act: (phone) => switchCall(phone) },
  { keys: "K", words: "Keypad", act: (phone) => (phone.page = "keypad") },
  { keys: "C", words: "Contacts", act: (phone) => (phone.page = "people") },
  { keys: "R", words: "Recent calls", act: (phone) => (phone.page = "recents") },
  { keys: "W", words: "Messages (what people write)", act: (phone) => (phone.page = "messages") },
  { keys: ",", words: "Settings", act: (phone) => (phone.page = "settings") },
  { keys: "?", words: "This list", act: (phone) => (phone.isHelpShown = !phone.isHelpShown) },
];

/** What no table holds: digits go to the call, or to the number being dialled. */
export const MORE_KEYS: readonly (readonly [string, string])[] = [
  ["0-9 * #", "Keys in a call; else the number to dial"],
  ["Enter", "Call the number that is dialled"],
  ["Esc", "Close what is open"],
];

export function obey(phone: Phone, event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  if (/^[0-9*#+]$/.test(event.key)) {
    event.preventDefault();
    if (!phone.front) phone.page = "keypad";
    return phone.press(event.key);
  }
  if (event.key === "Backspace") phone.dialled = phone.dialled.slice(0, -1);
  if (event.key === "Enter" && phone.dialled && !isPressable(event.target)) void phone.call(phone.dialled);
  const found = SHORTCUTS.find(({ keys }) => keys === event.key.toUpperCase());
  if (!found) return;
  event.preventDefault();
  found.act(phone);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

function isPressable(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("button, a, summary");
}

function inCall(phone: Phone, act: (id: string) => void): void {
  if (phone.front?.state === "talking") act(phone.front.id);
}

function answerFirst(phone: Phone, withVideo: boolean): void {
  const first = phone.ringing[0];
  if (first) void phone.answer(first.id, withVideo);
}

function video(phone: Phone): void {
  if (phone.ringing[0]) answerFirst(phone, true);
  else inCall(phone, (id) => void phone.toggleVideo(id));
}

function leave(phone: Phone): void {
  const call = phone.ringing[0] ?? phone.front;
  if (call) phone.hangUp(call.id);
}

function switchCall(phone: Phone): void {
  const other = phone.others.find(({ state }) => state === "talking");
  if (other) void phone.choose(other.id);
}
