// SPDX-License-Identifier: Apache-2.0
// Presses, writes and looks in pages of one Chromium: commands come in and answers go out, a line of JSON each.
//
//   node driver.mjs '{"chromium": "/usr/bin/chromium", "source": "folder of measure.js"}'
//
// It runs in the folder where npm has put playwright-core and axe-core.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { readFileSync, writeFileSync } from 'node:fs';

const require = createRequire(`${process.cwd()}/`);
const { chromium } = require('playwright-core');
const { chromium: executablePath, source } = JSON.parse(process.argv[2]);
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const WITHIN = 15_000;

const browser = await chromium.launch({
  executablePath,
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
const errors = [];

// a page that a test looks at under a name, and its complaints
function named(phone, page) {
  page.setDefaultTimeout(WITHIN);
  page.on('pageerror', (error) => errors.push(`${phone}: ${error.stack ?? error}`));
  page.on('console', (message) => {
    console.error(`${phone}: ${message.text()}`);
    if (/Content Security Policy/.test(message.text())) errors.push(`${phone}: ${message.text()}`);
  });
  pages.set(phone, page);
}

/** As in a network that lets nothing out but what goes to the TURN server. */
function onlyRelayed() {
  window.RTCPeerConnection = class extends window.RTCPeerConnection {
    constructor(configuration) {
      super({ ...configuration, iceTransportPolicy: 'relay' });
    }
  };
}

async function open({ phone, site, path, login, password, permissions = ['microphone', 'camera'], relayed = false, ...look }) {
  const context = await browser.newContext({ permissions, ignoreHTTPSErrors: true, ...look });
  await context.addInitScript({ path: `${source}/measure.js` });
  if (relayed) await context.addInitScript(onlyRelayed);
  if (login) {
    const answer = await context.request.post(`${site}/api/v1/session`, { data: { login, password }, headers: { Origin: site } });
    if (!answer.ok()) throw new Error(`signing in: ${answer.status()} ${await answer.text()}`);
  }
  const page = await context.newPage();
  named(phone, page);
  await page.goto(site + path);
}

const found = (page, { role, name, text, label, selector, exact = false }) =>
  (selector ? page.locator(selector) : role ? page.getByRole(role, { name, exact }) : label ? page.getByLabel(label, { exact }) : page.getByText(text, { exact })).first();

const commands = {
  async close(page, { phone }) {
    pages.delete(phone);
    await page.context().close();
  },
  press: (page, { keys }) => page.keyboard.press(keys),
  click: (page, what) => found(page, what).click(),
  write: (page, { value, ...what }) => found(page, what).fill(value),
  see: (page, what) => found(page, what).waitFor(),
  gone: (page, what) => found(page, what).waitFor({ state: 'detached' }),
  choose: (page, { value, ...what }) => found(page, what).selectOption(value).then(() => null),
  text: (page, { selector }) => page.locator(selector).first().innerText(),
  // of all that fit: an attribute, or the text
  all: (page, { selector, name }) =>
    page.locator(selector).evaluateAll((those, name) => those.map((each) => (name ? each.getAttribute(name) : each.textContent)), name),
  go: (page, { path }) => page.goto(new URL(path, page.url()).href).then(() => null),
  look: (page, look) => page.emulateMedia(look),
  // a press that opens a window, which gets a name
  async window(page, { as, ...what }) {
    const [opened] = await Promise.all([page.context().waitForEvent('page'), found(page, what).click()]);
    named(as, opened);
  },
  async download(page, { file, ...what }) {
    const [download] = await Promise.all([page.waitForEvent('download'), found(page, what).click()]);
    await download.saveAs(file);
    return download.suggestedFilename();
  },
  reload: (page) => page.reload().then(() => null),
  measure: (page) => page.evaluate(() => globalThis.measure()),
  cut: (page) => page.evaluate(() => globalThis.cutNetwork()),
  evaluate: (page, { script }) => page.evaluate(`(${script})()`),
  size: (page, size) => page.setViewportSize(size),
  // WebP, as Chromium writes it: a fifth of a PNG
  async keep(page, { file, quality }) {
    await page.bringToFront(); // behind another window nothing moves on
    const devtools = await page.context().newCDPSession(page);
    const { data } = await devtools.send('Page.captureScreenshot', { format: 'webp', quality });
    await devtools.detach();
    writeFileSync(file, Buffer.from(data, 'base64'));
  },
  picture: (page, { file }) => page.screenshot({ path: file }).then(() => file),
  // what axe-core finds, in words
  async check(page) {
    // the page must be there; and a colour on its way to another one is no colour that anybody reads
    await page.locator('h1').first().waitFor({ state: 'attached', timeout: WITHIN });
    await page.evaluate(() => {
      const moving = document.getAnimations().filter((each) => each.effect?.getComputedTiming().endTime < 5_000);
      return Promise.all(moving.map((each) => each.finished.catch(() => null)));
    });
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document));
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
  },
};

async function obey({ command, ...details }) {
  if (command === 'errors') return errors.splice(0);
  if (command === 'open') return open(details);
  return commands[command](pages.get(details.phone), details);
}

const tell = (answer) => console.log(JSON.stringify(answer));
tell({ event: 'ready', version: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { number, ...command } = JSON.parse(line);
  obey(command).then(
    (result) => tell({ event: 'done', number, result: result ?? null }),
    (error) => tell({ event: 'failed', number, text: String(error) }),
  );
}
await browser.close();
