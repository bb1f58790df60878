// SPDX-License-Identifier: Apache-2.0
// A JsSIP phone without browser, screen and sound: commands come in and events go out, a line of JSON each.
//
//   node phone.mjs '{"url": "ws://...", "user": "101", "domain": "...", "password": "...", ...}'
//
// It runs in the folder where npm has put jssip and ws. DEBUG=JsSIP:* adds JsSIP's own account of every message.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { SilentConnection } from './silent_connection.mjs';

const require = createRequire(`${process.cwd()}/`);
// What JsSIP expects a browser to have.
Object.assign(globalThis, {
  WebSocket: require('ws').WebSocket,
  window: globalThis,
  RTCPeerConnection: SilentConnection,
  RTCSessionDescription: class { constructor(description) { Object.assign(this, description); } },
});
const JsSIP = require('jssip');

const { url, user, domain, password, calls, expires, settings } = JSON.parse(process.argv[2]);
const silent = { mediaConstraints: { audio: false, video: false } };

function tell(event, details = {}) {
  console.log(JSON.stringify({ event, ...details }));
}

const phone = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(url)],
  uri: `sip:${user}@${domain}`,
  password,
  register_expires: expires,
  connection_recovery_min_interval: 1,
  connection_recovery_max_interval: 2,
  ...settings,
});

const status = ({ response, cause }) => ({ status: response?.status_code ?? 0, cause: cause ?? '' });
const outcome = (name) => ({
  succeeded: ({ response }) => tell(name, { status: response.status_code }),
  failed: (failure) => tell(name, status(failure)),
});

phone.on('connected', () => tell('connected'));
phone.on('disconnected', ({ code }) => tell('disconnected', { code: code ?? 0 }));
phone.on('registered', ({ response }) =>
  tell('registered', { contact: response.getHeader('Contact'), instance: phone.configuration.instance_id }));
phone.on('unregistered', (data) => tell('unregistered', status(data)));
phone.on('registrationFailed', (data) => tell('registrationFailed', status(data)));
phone.on('newOptions', ({ originator, request }) => {
  if (originator === 'remote') tell('asked', { by: request.from.uri.toString() });
});
phone.on('newMessage', ({ originator, request }) => {
  if (originator === 'remote') tell('message', { by: request.from.uri.user, text: request.body });
});
phone.on('newRTCSession', ({ originator, session, request }) => {
  session.on('confirmed', () => tell('callEstablished'));
  session.on('ended', ({ originator: by, cause }) => tell('callEnded', { by, cause }));
  session.on('failed', ({ originator: by, cause, message }) =>
    tell('callFailed', { by, cause, status: message?.status_code ?? 0 }));
  if (originator !== 'remote') return;
  tell('call', { by: request.from.uri.user, sdp: request.body.length });
  if (calls === 'reject') session.on('progress', () => session.terminate({ status_code: 486 }));
  if (calls === 'answer') session.on('progress', () => session.answer(silent));
});

const commands = {
  register: () => phone.register(),
  unregister: () => phone.unregister(),
  call: ({ to }) => phone.call(to, silent),
  hangup: () => phone.terminateSessions(),
  message: ({ to, text }) => phone.sendMessage(to, text, { eventHandlers: outcome('messageSent') }),
  options: ({ to }) => phone.sendOptions(JsSIP.URI.parse(to), null, { eventHandlers: outcome('optionsAnswered') }),
};

createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  commands[command.command](command);
});

phone.start();
