// SPDX-License-Identifier: Apache-2.0
// How does a page ask the server? JSON over /api/v1, the session's CSRF token added, problems as one kind of error.

const BASE = "/api/v1";

export type Query = Record<string, string | number | boolean | null | undefined>;

/** What the server says when it will not (RFC 9457); `fields` holds what is wrong with which field. */
export class Problem extends Error {
  readonly status: number;
  readonly fields: Record<string, string>;
  readonly more: Record<string, unknown>;

  constructor(status: number, text: string, fields: Record<string, string> = {}, more: Record<string, unknown> = {}) {
    super(text);
    this.name = "Problem";
    this.status = status;
    this.fields = fields;
    this.more = more;
  }
}

let csrf = "";
let onSignedOut: () => void = () => {};

/** The token that goes with every change; the session tells it. */
export function useCsrf(token: string): void {
  csrf = token;
}

/** What to do when the server no longer knows this session (the page was open overnight). */
export function whenSignedOut(callback: () => void): void {
  onSignedOut = callback;
}

/** The address of something under the API, for links and downloads. */
export function addressOf(path: string, query: Query = {}): string {
  const wanted = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") wanted.set(name, String(value));
  }
  const text = wanted.toString();
  return BASE + path + (text ? `?${text}` : "");
}

/** `quiet`: a 401 is an answer here, not the end of the session. */
type Options = { query?: Query; body?: unknown; signal?: AbortSignal; quiet?: boolean; again?: boolean };

const STALE_TOKEN = "urn:ringback:csrf";

async function ask<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && csrf) headers["X-Ringback-CSRF"] = csrf;
  let response: Response;
  try {
    response = await fetch(addressOf(path, options.query), {
      method,
      headers,
      credentials: "same-origin",
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (reason) {
    if (reason instanceof DOMException && reason.name === "AbortError") throw reason;
    throw new Problem(0, "The server cannot be reached. It may be restarting; the page tries again by itself.");
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    if (problem.more["type"] === STALE_TOKEN && !options.again) {
      // signed in anew in another tab: the token of this page is of the session before
      csrf = (await ask<{ csrf: string }>("GET", "/session", { quiet: true })).csrf;
      return ask<T>(method, path, { ...options, again: true });
    }
    if (response.status === 401 && !options.quiet) onSignedOut();
    throw problem;
  }
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

async function problemOf(response: Response): Promise<Problem> {
  let told: Record<string, unknown> = {};
  try {
    told = (await response.json()) as Record<string, unknown>;
  } catch {
    // not JSON: a proxy in between, or a server that is going down
  }
  const fields: Record<string, string> = {};
  const errors = Array.isArray(told["errors"]) ? (told["errors"] as { field?: string; message?: string }[]) : [];
  for (const { field, message } of errors) {
    if (field !== undefined && message && !(field in fields)) fields[field] = message;
  }
  const text = [told["detail"], told["title"]].find((part) => typeof part === "string" && part !== "");
  return new Problem(response.status, (text as string | undefined) ?? inWords(response), fields, told);
}

function inWords(response: Response): string {
  if (response.status === 413) return "That is too large.";
  if (response.status === 429) return "Too many tries. Wait a little, then try again.";
  if (response.status >= 500) return "The server could not do that just now. Try again in a moment.";
  return `The server refused (${response.status} ${response.statusText}).`;
}

export const api = {
  get: <T>(path: string, query?: Query, options: Options = {}) =>
    ask<T>("GET", path, { ...options, ...(query ? { query } : {}) }),
  post: <T>(path: string, body: unknown = {}, options: Options = {}) => ask<T>("POST", path, { ...options, body }),
  put: <T>(path: string, body: unknown, options: Options = {}) => ask<T>("PUT", path, { ...options, body }),
  patch: <T>(path: string, body: unknown, options: Options = {}) => ask<T>("PATCH", path, { ...options, body }),
  remove: <T = void>(path: string, options: Options = {}) => ask<T>("DELETE", path, options),
};
