// SPDX-License-Identifier: Apache-2.0
// What did they do, in words? The log holds short names; one that is not here is shown as it is.

const WORDS: Record<string, string> = {
  "call.hangup": "hung up",
  "call.place": "placed a call from",
  "call.play": "played into",
  "call.record": "recorded",
  "call.transfer": "transferred",
  "device.add": "added the phone",
  "device.change": "changed the phone",
  "device.remove": "stopped the phone",
  "guest-page.put": "set up the guest page",
  "guest-page.remove": "removed the guest page",
  "invitation.add": "invited",
  "office.change": "changed the",
  "registration.remove": "made the server forget a phone of",
  "settings.change": "changed the",
  "token.add": "made the API token",
  "token.remove": "removed the API token",
  "trace.switch": "switched the",
  "user.add": "added",
  "user.change": "changed",
  "user.remove": "removed",
  "webhook.add": "added the webhook",
  "webhook.change": "changed the webhook",
  "webhook.remove": "removed the webhook",
};

export function inWords(action: string): string {
  return WORDS[action] ?? action;
}
