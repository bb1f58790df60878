// SPDX-License-Identifier: Apache-2.0
// One Chromium without a screen, one page for each phone: commands come in and events go out, a line of JSON each.
//
//   node driver.mjs '{"chromium": "/usr/bin/chromium", "source": "folder of phone.js", "profile": "folder"}'
//
// It runs in the folder where npm has put jssip, esbuild and puppeteer-core.

import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(`${process.cwd()}/`);
const esbuild = require('esbuild');
const puppeteer = require('puppeteer-core');

const { chromium, source, profile } = JSON.parse(process.argv[2]);

function tell(event, phone = '', details = {}) {
  console.log(JSON.stringify({ event, phone, ...details }));
}

const bundle = await esbuild.build({
  entryPoints: [`${source}/phone.js`],
  bundle: true,
  write: false,
  format: 'iife',
  define: { global: 'globalThis' },
  nodePaths: [`${process.cwd()}/node_modules`],
});
const page = '<!doctype html><meta charset="utf-8"><title>phone</title><script src="/phone.js"></script>';

// A page from 127.0.0.1 counts as secure: without that no browser gives a page the microphone.
const server = createServer(({ url }, response) => {
  const isScript = url === '/phone.js';
  response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? bundle.outputFiles[0].text : page);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

const browser = await puppeteer.launch({
  executablePath: chromium,
  userDataDir: profile,
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    '--allow-loopback-in-peer-connection',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
    '--autoplay-policy=no-user-gesture-required',
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding',
    '--ignore-certificate-errors',
  ],
});

const pages = new Map();

async function open(phone, account) {
  const opened = await browser.newPage();
  opened.on('console', (message) => console.error(`${phone}: ${message.text()}`));
  opened.on('pageerror', (error) => tell('error', phone, { text: String(error) }));
  await opened.exposeFunction('tell', (event, details) => tell(event, phone, details));
  await opened.goto(`http://127.0.0.1:${server.address().port}/`);
  pages.set(phone, opened);
  await opened.evaluate((settings) => globalThis.start(settings), account);
}

// JsSIP says that it has unregistered when the server has confirmed it.
async function close(phone) {
  const closing = pages.get(phone);
  pages.delete(phone);
  await closing.evaluate(() => globalThis.stop());
  await closing.close();
  tell('closed', phone);
}

async function obey({ command, phone, ...details }) {
  if (command === 'open') return open(phone, details);
  if (command === 'close') return close(phone);
  const result = await pages.get(phone).evaluate(
    (name, given) => globalThis.commands[name](given), command, details);
  tell('done', phone, { command, result: result ?? null });
}

tell('ready', '', { version: await browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  obey(command).catch((error) => tell('error', command.phone, { text: String(error) }));
}
await browser.close();
