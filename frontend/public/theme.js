// SPDX-License-Identifier: Apache-2.0
// Which theme did this person choose? Told before the first paint; without a choice the system's setting holds.
try {
  const theme = localStorage.getItem("ringback.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage is off: the system's setting holds
}
