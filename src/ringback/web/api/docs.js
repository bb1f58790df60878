// SPDX-License-Identifier: Apache-2.0
// Sends what a form on /docs says, with a token or as whoever is signed in here, and shows the answer.

async function secretOfSession() {
  const response = await fetch("/api/v1/session");
  return response.ok ? (await response.json()).csrf : "";
}

async function requestOf(form) {
  const method = form.dataset.method;
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const input of form.querySelectorAll("input[data-in]")) {
    if (input.dataset.in === "path") {
      path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
    } else if (input.value !== "") {
      query.set(input.name, input.value);
    }
  }
  const headers = {};
  const token = document.getElementById("token").value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  else if (method !== "GET") headers["X-Ringback-CSRF"] = await secretOfSession();
  const body = form.querySelector("textarea")?.value;
  if (body) headers["Content-Type"] = "application/json";
  return [query.size ? `${path}?${query}` : path, { method, headers, body }];
}

async function textOf(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.includes("json")) return JSON.stringify(await response.json(), null, 2);
  if (type.startsWith("text/")) return response.text();
  return `${(await response.blob()).size} bytes of ${type}`;
}

async function tryIt(event) {
  event.preventDefault();
  const form = event.target;
  const answer = form.querySelector("pre");
  answer.hidden = false;
  try {
    const [address, options] = await requestOf(form);
    answer.textContent = `${options.method} ${address} …`;
    const response = await fetch(address, options);
    answer.textContent = `${response.status} ${response.statusText}\n\n${await textOf(response)}`;
  } catch (error) {
    answer.textContent = String(error);
  }
}

for (const form of document.querySelectorAll("form[data-method]")) form.addEventListener("submit", tryIt);
