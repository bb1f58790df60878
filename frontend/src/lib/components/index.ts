// SPDX-License-Identifier: Apache-2.0
// Which small parts are all pages made of?
export { default as Badge } from "./Badge.svelte";
export { default as Button } from "./Button.svelte";
export { default as Card } from "./Card.svelte";
export { default as Copy } from "./Copy.svelte";
export { default as Dialog } from "./Dialog.svelte";
export { default as Dot } from "./Dot.svelte";
export { default as EmptyState } from "./EmptyState.svelte";
export { default as Field } from "./Field.svelte";
export { default as Icon } from "./Icon.svelte";
export { default as Table } from "./Table.svelte";
export { default as Toast } from "./Toast.svelte";
export { toast } from "./toast.svelte";
export type { IconName } from "./icons";
