// SPDX-License-Identifier: Apache-2.0
// What does the page of diagnostics say? docs/diagnostics.md, read into parts; it is written from the server's tables.

export type Piece = { kind: "text" | "code" | "strong" | "soft"; text: string };
export type Diagnosis = { code: string; anchor: string; title: string; severity: string; paragraphs: Piece[][] };
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
  return { code: code.trim(), anchor: code.trim().toLowerCase(), title, severity, paragraphs: paragraphs.map(pieces) };
}

function pieces(paragraph: string): Piece[] {
  const parts = paragraph.replace(/\n/g, " ").split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*)/);
  return parts.filter(Boolean).map((part): Piece => {
    if (part.startsWith("`")) return { kind: "code", text: part.slice(1, -1) };
    if (part.startsWith("**")) return { kind: "strong", text: part.slice(2, -2) };
    if (/^\*[^*]+\*$/.test(part)) return { kind: "strong", text: part.slice(1, -1) };
    return { kind: "text", text: part };
  });
}
