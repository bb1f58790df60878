// SPDX-License-Identifier: Apache-2.0
// Does a link to the sign-in lead to pages of ours only, however it is written?
import assert from "node:assert/strict";
import test from "node:test";
import { source } from "./sources.mjs";

const { pageOfOurs } = await source("console/door/next.ts");
const HERE = "https://office.example:8443";

test("whoever signs in goes where they wanted", () => {
  for (const path of ["/", "/people/101", "/calls?search=a%26b"]) {
    assert.equal(new URL(pageOfOurs(path, HERE), HERE).href, HERE + path);
  }
  assert.equal(new URL(pageOfOurs(null, HERE), HERE).href, `${HERE}/`);
});

test("no way of writing it leads to another site, not even when it is read twice", () => {
  const hostile = ["//evil.example/", "/\\evil.example", "/.//evil.example/x", "/a/..//evil.example", "/\t/evil.example", "https://evil.example", "javascript:alert(1)", "/%2e//evil.example", "//", "/.//[", "http:evil"];
  for (const wanted of hostile) {
    const once = new URL(pageOfOurs(wanted, HERE), HERE);
    assert.equal(once.origin, HERE, wanted);
    assert.equal(new URL(once.pathname + once.search, HERE).origin, HERE, wanted);
  }
});
