// SPDX-License-Identifier: Apache-2.0
// The guest page begins here: /call/NAME.
import "$lib/base.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { Guest } from "./guest.svelte";

const guest = new Guest(decodeURIComponent(location.pathname.split("/")[2] ?? ""));
mount(App, { target: document.getElementById("app") as HTMLElement, props: { guest } });
void guest.begin();
