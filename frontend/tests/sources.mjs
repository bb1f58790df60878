// SPDX-License-Identifier: Apache-2.0
// How does a test read a TypeScript source that imports nothing but types? Its types taken away, as a module.
import { readFile } from "node:fs/promises";
import ts from "typescript";

const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };

export async function source(path) {
  const text = await readFile(new URL(`../src/${path}`, import.meta.url), "utf8");
  const code = ts.transpileModule(text, { compilerOptions: options }).outputText;
  return import(`data:text/javascript;base64,${Buffer.from(code).toString("base64")}`);
}
