# SPDX-License-Identifier: Apache-2.0
"""What does the page of a call look like? Light and dark, as its reader likes it."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #59636e; --line: #d0d7de; --paper: #fff;
  --tint: #f3f5f7; --request: #0b62c4; --provisional: #6e6a00;
  --success: #14713a; --redirect: #7a3fb5; --failure: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa5b1; --line: #3a434d;
  --paper: #12161b; --tint: #1c222a; --request: #6db3ff; --provisional: #d6cf5a;
  --success: #63d08f; --redirect: #c79bf2; --failure: #ff8a80; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 76rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.how { color: var(--quiet); margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.2rem; margin: 1rem 0; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.ladder { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; padding: .5rem; }
svg { display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg .quiet { fill: var(--quiet); } svg .name { font-weight: 600; } svg .bar { stroke: var(--line); }
svg .note { font-style: italic; fill: var(--quiet); }
svg .arrow { stroke-width: 1.5; fill: none; }
svg .request { stroke: var(--request); } svg .provisional { stroke: var(--provisional); }
svg .success { stroke: var(--success); } svg .redirect { stroke: var(--redirect); }
svg .failure { stroke: var(--failure); }
svg a:hover text { text-decoration: underline; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } th { color: var(--quiet); font-weight: 500; }
details { border-bottom: 1px solid var(--line); } summary { padding: .35rem 0; cursor: pointer; }
summary span { color: var(--quiet); margin-left: .8rem; }
pre { background: var(--tint); padding: .8rem; border-radius: 6px; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 13px/1.45 ui-monospace, monospace; margin: 0 0 .8rem; }
.verdict { border-left: 3px solid var(--line); padding: .1rem .8rem; margin: .6rem 0; }
.verdict.error { border-color: var(--failure); } .verdict.warning { border-color: var(--provisional); }
"""
