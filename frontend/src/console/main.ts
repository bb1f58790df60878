// SPDX-License-Identifier: Apache-2.0
// The console begins here.
import "$lib/base.css";
import { mount } from "svelte";
import App from "./App.svelte";

// A page that was open during an upgrade asks for parts that are no longer there: load it afresh.
window.addEventListener("vite:preloadError", () => location.reload());

mount(App, { target: document.getElementById("app")! });
