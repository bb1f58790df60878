// SPDX-License-Identifier: Apache-2.0
// How does Svelte read our components? TypeScript inside, styles into files (the CSP allows none inline).
import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default { preprocess: vitePreprocess() };
