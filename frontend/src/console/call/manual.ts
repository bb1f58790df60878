// SPDX-License-Identifier: Apache-2.0
// What does the page of diagnostics say? docs/diagnostics.md, read into parts; it is written from the server's tables.

export type Piece = { kind: "text" | "code" | "strong"; text: string };
export type Diagnosis = { code: string; anchor: string; title: string; severity: string; paragraphs: string[] };
export type Family = { title: string; question: string; diagnoses: Diagnosis[] };

export function families(markdown: string): Family[] {
  return markdown
    .split(/^## /m)
    .slice(1)
    .map((part) => {
      const [head = "", ...rest] = part.split(/^### /m);
      const [title = "", ...lines] = head.trim().split("\n");
      return { title, question: lines.join(" ").trim(), diagnoses: rest.map(diagnosis) };
    })
    .filter((family) => family.diagnoses.length > 0);
}

function diagnosis(text: string): Diagnosis {
  const [code = "", named = "", ...paragraphs] = text.trim().split(/\n{2,}/);
  const [, title = named, severity = ""] = /^\*\*(.+)\*\* \((\w+)\)$/.exec(named.trim()) ?? [];
  return { code: code.trim(), anchor: code.trim().toLowerCase(), title, severity, paragraphs };
}

/** `code`, and *Words like these:* at the beginning of a sentence; stars of numbers that one dials stay stars. */
export function pieces(paragraph: string): Piece[] {
  const parts = paragraph.replace(/\n/g, " ").split(/(`[^`]+`|\*[A-Z][A-Za-z ]*:\*)/);
  return parts.filter(Boolean).map((part): Piece => {
    if (/^`[^`]+`$/.test(part)) return { kind: "code", text: part.slice(1, -1) };
    if (/^\*[A-Z].*:\*$/.test(part)) return { kind: "strong", text: part.slice(1, -1) };
    return { kind: "text", text: part };
  });
}
