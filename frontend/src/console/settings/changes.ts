// SPDX-License-Identifier: Apache-2.0
// What does a person mean by what stands in an input? A setting's value, or a sentence about why not.
import type { Setting } from "$lib/types";

export type Value = Setting["value"];

/** A value as it stands in its input. */
export function written(value: Value): string {
  if (Array.isArray(value)) return value.join("\n");
  if (typeof value === "boolean") return value ? "true" : "false";
  return value === null || value === undefined ? "" : String(value);
}

/** What the input means; a problem is returned as an Error. */
export function read(setting: Setting, text: string): Value | Error {
  const trimmed = text.trim();
  if (setting.type === "boolean") return trimmed === "true";
  if (setting.type === "list") return trimmed ? trimmed.split(/[\n,]+/).map((part) => part.trim()).filter(Boolean) : [];
  if (setting.type !== "number" && setting.type !== "integer") return trimmed;
  if (trimmed === "" && setting.default === null) return null;
  const number = Number(trimmed.replace(",", "."));
  if (trimmed === "" || Number.isNaN(number)) return new Error("This must be a number.");
  if (setting.type === "integer" && !Number.isInteger(number)) return new Error("This must be a whole number.");
  if (typeof setting.minimum === "number" && number < setting.minimum) return new Error(`At least ${setting.minimum}.`);
  if (typeof setting.maximum === "number" && number > setting.maximum) return new Error(`At most ${setting.maximum}.`);
  return number;
}

/** Where a value comes from, short enough for a badge. */
export function origin(setting: Setting): [string, "plain" | "note" | "busy"] {
  const source = setting.source;
  if (!source) return ["default", "plain"];
  if (source.startsWith("--") || source.startsWith("RINGBACK_")) return [source, "busy"];
  return [source.split("/").at(-1) ?? source, "note"];
}
