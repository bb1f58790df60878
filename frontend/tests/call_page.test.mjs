// SPDX-License-Identifier: Apache-2.0
// Does everything of a ladder stand where it belongs, and does what strangers write stay text?
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import test from "node:test";
import { source } from "./sources.mjs";

const { arrowOf, fitting, layout, TIMES } = await source("console/call/layout.ts");
const { tinted, visible } = await source("console/call/tint.ts");
const { families, pieces } = await source("console/call/manual.ts");

const COLUMNS = ["peer1", "server", "peer2"].map((id) => ({ id, label: id, address: "" }));
const arrow = (at, from, to, more = {}) => ({ at, offset: at, from, to, label: "INVITE", kind: "request", index: at, repeats: 0, note: "", ...more });
const lane = (from, more = {}) => ({ leg: from, from, to: "server", began: 2, ended: 20, codec: "PCMA", loss: 0, jitter_ms: 1, mos: 4.3, series: [], held: [], ...more });
const drawn = (arrows, { lanes = [], notes = [], width = 900 } = {}) => layout({ columns: COLUMNS, arrows, lanes }, notes, width);

test("arrows stand below each other, from one column to another", () => {
  const { rows, columns, height } = drawn([arrow(1, "peer1", "server"), arrow(1.1, "server", "peer2")]);
  const [left, middle, right] = columns.map((column) => column.x);
  assert.deepEqual(rows.map((row) => [row.from, row.to]), [[left, middle], [middle, right]]);
  assert.equal(rows[1].y, rows[0].y + rows[0].height);
  assert.ok(left > TIMES && right < 900 && height > rows[1].y);
});

test("on a narrow screen the ladder keeps its measure and is wider than the screen", () => {
  const { width, columns } = drawn([], { width: 320 });
  assert.ok(width > 320);
  assert.ok(columns[1].x - columns[0].x >= 140);
});

test("two hundred messages fit, no two in one place", () => {
  const { rows, height } = drawn(Array.from({ length: 200 }, (_, at) => arrow(at / 10, "peer1", "server")));
  assert.equal(new Set(rows.map((row) => row.y)).size, 200);
  assert.ok(height > rows.at(-1).y + rows.at(-1).height);
});

test("silence of a second or more is told", () => {
  const { rows } = drawn([arrow(1, "peer1", "server"), arrow(1.5, "server", "peer2"), arrow(75.5, "peer2", "server")]);
  assert.deepEqual(rows.map((row) => row.text ?? row.kind), ["arrow", "arrow", "1 min 14 s", "arrow"]);
});

test("the sound of both legs stands side by side after the answer, and flows until it ends", () => {
  const arrows = [arrow(1, "peer1", "server"), arrow(2, "peer2", "server"), arrow(2.1, "server", "peer2"), arrow(20, "peer1", "server")];
  const { rows, bands, columns } = drawn(arrows, { lanes: [lane("peer1"), lane("peer2")] });
  const sounds = rows.filter((row) => row.kind === "sound");
  assert.equal(sounds.length, 1);
  assert.deepEqual(sounds[0].lanes.map((each) => [each.left, each.right]), [[columns[0].x, columns[1].x], [columns[1].x, columns[2].x]]);
  assert.ok(sounds[0].y > rows.findLast((row) => row.at === 2.1 && row.kind === "arrow").y);
  assert.deepEqual(bands.map((band) => band.bottom), [rows.at(-1).y, rows.at(-1).y]);
});

test("a hold is a band of its own between its two messages", () => {
  const arrows = [arrow(1, "peer1", "server"), arrow(5, "peer1", "server"), arrow(5.1, "server", "peer1"), arrow(9, "peer1", "server"), arrow(20, "peer1", "server")];
  const { rows, bands } = drawn(arrows, { lanes: [lane("peer1", { held: [[5, 9]] })] });
  const of = (at) => rows.find((row) => row.kind === "arrow" && row.at === at);
  assert.deepEqual(bands.filter((band) => band.held).map((band) => [band.top, band.bottom]), [[of(5.1).y, of(20).y]]);
});

test("a note of the record stands where it happened", () => {
  const { rows } = drawn([arrow(1, "peer1", "server"), arrow(1.9, "server", "peer1")], { notes: [{ at: 1.2, text: "the call is recorded" }] });
  assert.deepEqual(rows.map((row) => row.kind), ["arrow", "event", "arrow"]);
});

test("an arrow to a column that nobody knows ends at the server", () => {
  const { rows, columns } = drawn([arrow(1, "peer1", "peer9")]);
  assert.equal(rows[0].to, columns[1].x);
});

test("evidence in a message that was sent again leads to the arrow it was folded into", () => {
  const message = (text) => ({ direction: "sent", remote: "192.0.2.1:5060", text });
  const messages = [message("a"), message("b"), message("a"), message("b")];
  const arrows = [arrow(0, "server", "peer1"), arrow(1, "server", "peer1")];
  assert.deepEqual([0, 1, 2, 3].map((index) => arrowOf(index, arrows, messages).index), [0, 1, 0, 1]);
  assert.equal(arrowOf(9, arrows, messages), undefined);
});

test("a label that is too long loses the method first", () => {
  assert.equal(fitting("200 OK (INVITE) (SDP)", 110), "200 OK (SDP)");
  assert.equal(fitting("407 Proxy Authentication Required (INVITE)", 110), "407 Proxy Auth…");
});

test("lines of a message are told apart, and what was struck out is marked", () => {
  const text = "INVITE sip:a@b SIP/2.0\r\nFrom: <sip:x@y>\r\nAuthorization: (hidden)\r\n folded\r\n\r\nv=0\r\nm=audio 1 RTP/AVP 0\r\na=crypto:(hidden)\r\n";
  assert.deepEqual(tinted(text).map((line) => line.kind), ["start", "header", "header", "text", "blank", "sdp", "media", "sdp"]);
  assert.deepEqual(tinted(text).filter((line) => line.hidden).map((line) => line.name), ["Authorization:", "a="]);
  assert.equal(tinted(text).map((line) => line.name + line.value).join("\r\n"), text.trimEnd());
});

test("what turns the direction of writing or cannot be seen is shown as its number", () => {
  assert.equal(visible("A\u202egnp.exe\u0007 \u200b<b>"), "A⟨202E⟩gnp.exe⟨0007⟩ ⟨200B⟩<b>");
  assert.ok(tinted("INVITE a\r\nFrom: \u2067evil\r\n").every((line) => !/[\u2067]/.test(line.value)));
});

test("no page puts text into the document as HTML", async () => {
  const folder = new URL("../src/", import.meta.url);
  const files = (await readdir(folder, { recursive: true })).filter((name) => /\.(svelte|ts)$/.test(name));
  assert.ok(files.length > 50);
  for (const name of files) {
    const text = await readFile(new URL(name, folder), "utf8");
    assert.doesNotMatch(text, /\{@html|innerHTML|outerHTML|insertAdjacentHTML|document\.write/, name);
  }
});

test("every number of the manual is found, with its title and severity", async () => {
  const markdown = await readFile(new URL("../../docs/diagnostics.md", import.meta.url), "utf8");
  const told = [...markdown.matchAll(/^\| \[(RB-\d+)\]\(#(\S+)\) \| (.+) \| (\w+) \|$/gm)].map(([, code, anchor, title, severity]) => [code, anchor, title, severity]);
  const found = families(markdown).flatMap((family) => family.diagnoses);
  assert.ok(told.length > 20);
  assert.deepEqual(found.map((each) => [each.code, each.anchor, each.title, each.severity]), told);
  assert.ok(found.every((each) => each.paragraphs.some((paragraph) => pieces(paragraph)[0].text === "What to do:")));
});

test("stars and backticks of a stranger are text, not more than that", () => {
  assert.deepEqual(pieces("*43 and *60, `a` <b>").map((piece) => [piece.kind, piece.text]), [["text", "*43 and *60, "], ["code", "a"], ["text", " <b>"]]);
});
