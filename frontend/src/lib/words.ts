// SPDX-License-Identifier: Apache-2.0
// How do we say it? Times, lengths and sizes as people say them.

const SECOND = 1000;
/** The pages speak English: of the English the browser asks for, else the one with a 24-hour clock. */
const LANGUAGE = navigator.languages.find((language) => language.startsWith("en-")) ?? "en-GB";
const relative = new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" });
const fullDay = new Intl.DateTimeFormat(LANGUAGE, { weekday: "long", day: "numeric", month: "long" });
const clockTime = new Intl.DateTimeFormat(LANGUAGE, { hour: "2-digit", minute: "2-digit" });
const fullTime = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium", timeStyle: "medium" });
const dayOnly = new Intl.DateTimeFormat(LANGUAGE, { day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "medium" });

/** "3 min ago", "yesterday": how long before `now` (both in seconds since 1970). */
export function ago(at: number, now = Date.now() / SECOND): string {
  const past = now - at;
  if (past < 45 && past > -5) return "just now";
  const steps: [number, Intl.RelativeTimeFormatUnit][] = [[60, "minute"], [3600, "hour"], [86_400, "day"], [2_592_000, "month"]];
  const [size, unit] = [...steps].reverse().find(([least]) => Math.abs(past) >= least) ?? steps[0]!;
  return relative.format(-Math.round(past / size), unit);
}

/** "14:05" today, "3 May, 14:05" before. */
export function when(at: number, now = Date.now() / SECOND): string {
  const date = new Date(at * SECOND);
  const today = new Date(now * SECOND);
  if (date.toDateString() === today.toDateString()) return clockTime.format(date);
  const day = date.getFullYear() === today.getFullYear() ? dayOnly.format(date) : dayAndYear.format(date);
  return `${day}, ${clockTime.format(date)}`;
}

export function exactly(at: number): string {
  return fullTime.format(new Date(at * SECOND));
}

export function day(at: number): string {
  return dayAndYear.format(new Date(at * SECOND));
}

/** "Saturday 21 November". */
export function weekday(date = new Date()): string {
  return fullDay.format(date);
}

/** "1:03", "1:02:03": a length that runs. */
export function running(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const two = (part: number) => String(part).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** "1 min 3 s", "4 days 2 h": the two largest parts of a length. */
export function length(seconds: number): string {
  const parts: [number, string, string][] = [[86_400, " days", " day"], [3600, " h", " h"], [60, " min", " min"], [1, " s", " s"]];
  let rest = Math.max(0, Math.round(seconds));
  const said: string[] = [];
  for (const [size, many, one] of parts) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) said.push(`${count}${count === 1 ? one : many}`);
    if (said.length === 2) break;
  }
  return said.join(" ") || "0 s";
}

/** "12.4 MB". */
export function bytes(count: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const step = count < 1 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), units.length - 1);
  const size = count / 1000 ** step;
  return `${size >= 100 || step === 0 ? Math.round(size) : size.toFixed(1)} ${units[step]}`;
}

export function many(count: number, one: string, more = `${one}s`): string {
  return `${count.toLocaleString()} ${count === 1 ? one : more}`;
}
