// SPDX-License-Identifier: Apache-2.0
// One JsSIP phone in one page. It speaks a tone, shows the picture of a made-up camera, and measures what it
// hears and sees.

import JsSIP from 'jssip';

JsSIP.debug.enable('JsSIP:*');

const context = new AudioContext({ sampleRate: 48000 });
const sessions = [];
let settings = {};
let phone = null;
let listener = null;
let seen = null;

function tone(frequency) {
  const oscillator = new OscillatorNode(context, { frequency });
  const volume = new GainNode(context, { gain: 0.3 });
  const destination = new MediaStreamAudioDestinationNode(context);
  oscillator.connect(volume).connect(destination);
  oscillator.start();
  return destination.stream;
}

// A camera that sees one colour. Pages that are not in front draw no canvas, so frames are written by a clock.
function painted(colour) {
  const generator = new MediaStreamTrackGenerator({ kind: 'video' });
  const writer = generator.writable.getWriter();
  const canvas = new OffscreenCanvas(320, 240);
  const brush = canvas.getContext('2d');
  let count = 0;
  const clock = setInterval(() => {
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 320, 240);
    brush.fillStyle = 'grey';
    brush.fillRect((count++ * 4) % 320, 0, 16, 16);
    const frame = new VideoFrame(canvas, { timestamp: performance.now() * 1000 });
    writer.write(frame).catch(() => clearInterval(clock));
  }, 66);
  return new MediaStream([generator]);
}

// The colour in the middle of what is shown: red, green, blue.
async function look(track) {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const canvas = new OffscreenCanvas(1, 1);
  const brush = canvas.getContext('2d', { willReadFrequently: true });
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    brush.drawImage(value, value.codedWidth / 2, value.codedHeight / 2, 1, 1, 0, 0, 1, 1);
    value.close();
    seen = [...brush.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  }
}

async function source(video) {
  const stream = tone(settings.tone);
  if (video) {
    const camera = settings.colour
      ? painted(settings.colour)
      : await navigator.mediaDevices.getUserMedia({ video: { width: 320, height: 240 } });
    camera.getVideoTracks().forEach((track) => stream.addTrack(track));
  }
  return stream;
}

function listen(stream) {
  // Chromium lets a remote stream flow into Web Audio only while an element plays it.
  const element = new Audio();
  element.srcObject = stream;
  element.play();
  listener = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(listener);
}

function show(stream) {
  const element = document.createElement('video');
  element.muted = true;
  element.srcObject = stream;
  document.body.append(element);
  element.play();
}

function watch(connection) {
  connection.addEventListener('track', ({ track, streams }) => {
    const stream = streams[0] ?? new MediaStream([track]);
    if (track.kind === 'audio') listen(stream);
    else {
      show(stream);
      if (settings.colour) look(track);
    }
    tell('track', { kind: track.kind });
  });
  connection.addEventListener('connectionstatechange', () => tell('connection', { state: connection.connectionState }));
}

function adopt(session) {
  sessions.push(session);
  if (session.connection) watch(session.connection);
  session.on('peerconnection', ({ peerconnection }) => watch(peerconnection));
  session.on('icecandidate', ({ ready }) => ready()); // the first one is enough on this machine
  session.on('progress', ({ originator, response }) => {
    if (originator === 'remote') tell('progress', { status: response.status_code });
  });
  session.on('confirmed', () => tell('established'));
  session.on('hold', ({ originator }) => tell('hold', { by: originator }));
  session.on('unhold', ({ originator }) => tell('unhold', { by: originator }));
  session.on('newDTMF', ({ originator, dtmf }) => {
    if (originator === 'remote') tell('key', { key: dtmf.tone });
  });
  session.on('refer', ({ accept }) => accept((target) => adopt(target)));
  for (const name of ['ended', 'failed']) {
    session.on(name, ({ originator, cause, message }) => {
      sessions.splice(sessions.indexOf(session), 1);
      tell(name, {
        by: originator,
        cause,
        status: message?.status_code ?? 0,
        reason: message?.getHeader?.('Reason') ?? '',
      });
    });
  }
}

const current = () => sessions[sessions.length - 1];

async function reports() {
  const reports = [];
  (await current().connection.getStats()).forEach((report) => reports.push(report));
  return reports;
}

globalThis.commands = {
  async call({ to, video = false, headers = [] }) {
    const mediaStream = await source(video);
    phone.call(to, { mediaStream, extraHeaders: headers, pcConfig: { iceServers: [] } });
  },
  async answer({ video = false } = {}) {
    current().answer({ mediaStream: await source(video), pcConfig: { iceServers: [] } });
  },
  reject: ({ status = 486 } = {}) => current().terminate({ status_code: status }),
  hangup: () => current().terminate(),
  hold: () => current().hold(),
  unhold: () => current().unhold(),
  mute: ({ on = true } = {}) => (on ? current().mute({ audio: true }) : current().unmute({ audio: true })),
  sees: () => seen,
  keys: ({ keys, by = 'RFC2833' }) => current().sendDTMF(keys, { transportType: by, duration: 120, interToneGap: 120 }),
  refer: ({ to }) => {
    current().refer(to, {
      eventHandlers: {
        accepted: () => tell('transferred'),
        failed: ({ status_line: line }) => tell('transferFailed', { status: line?.status_code ?? 0 }),
        requestFailed: ({ response }) => tell('transferFailed', { status: response?.status_code ?? 0 }),
      },
    });
  },
  referReplaces: ({ to }) => sessions[0].refer(to, { replaces: sessions[1] }),
  restartIce: () => current().renegotiate({ rtcOfferConstraints: { iceRestart: true } }),
  message: ({ to, text }) => phone.sendMessage(to, text),
  unregister: () => phone.unregister(),
  count: () => sessions.length,

  // The loudest frequency of what is heard now, in Hz, and its level in decibels; no frequency when it is quiet.
  hears() {
    if (!listener) return { frequency: 0, level: -999 };
    const bins = new Float32Array(listener.frequencyBinCount);
    listener.getFloatFrequencyData(bins);
    let loudest = 1;
    bins.forEach((level, bin) => { if (bin > 0 && level > bins[loudest]) loudest = bin; });
    const level = bins[loudest];
    const frequency = level > -60 ? (loudest * context.sampleRate) / listener.fftSize : 0;
    return { frequency, level: Number.isFinite(level) ? level : -999 };
  },

  // How loud some frequencies are now, in decibels.
  levels({ frequencies }) {
    if (!listener) return frequencies.map(() => -999);
    const bins = new Float32Array(listener.frequencyBinCount);
    listener.getFloatFrequencyData(bins);
    const width = context.sampleRate / listener.fftSize;
    return frequencies.map((frequency) => Math.max(-999, ...bins.slice(Math.round(frequency / width) - 1, Math.round(frequency / width) + 2)));
  },

  // What has come in, by kind: packets, frames that were decoded, the codec.
  async receives() {
    const all = await reports();
    const codecs = new Map(all.filter(({ type }) => type === 'codec').map((codec) => [codec.id, codec.mimeType]));
    const found = {};
    for (const report of all.filter(({ type }) => type === 'inbound-rtp')) {
      found[report.kind] = {
        packets: report.packetsReceived ?? 0,
        lost: report.packetsLost ?? 0,
        frames: report.framesDecoded ?? 0,
        codec: codecs.get(report.codecId) ?? '',
      };
    }
    return found;
  },
};

globalThis.start = (account) => {
  settings = account;
  context.resume();
  phone = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(account.url)],
    uri: `sip:${account.user}@${account.domain}`,
    password: account.password,
    register_expires: 600,
  });
  phone.on('registered', () => tell('registered'));
  phone.on('registrationFailed', ({ cause }) => tell('registrationFailed', { cause }));
  phone.on('newMessage', ({ originator, request }) => {
    if (originator === 'remote') tell('message', { by: request.from.uri.user, text: request.body });
  });
  phone.on('newRTCSession', ({ originator, session, request }) => {
    adopt(session);
    if (originator !== 'remote') return;
    tell('call', { by: request.from.uri.user, name: request.from.display_name ?? '' });
    if (account.calls === 'answer') globalThis.commands.answer({ video: account.video });
  });
  phone.start();
};

globalThis.stop = () => new Promise((resolve) => {
  phone.on('unregistered', resolve);
  phone.stop();
  setTimeout(resolve, 2000);
});
