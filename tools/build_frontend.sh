#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the web pages (console, softphone, guest phone) from frontend/ into src/ringback/web/static, with npm.
# Without npm, or without the network at the first time, it says so and goes on: the phone system runs without
# its pages. Where CI=true that is an error.
set -euo pipefail
cd "$(dirname "$0")/../frontend"

cannot() {
    echo "make: the web pages are not built: $1" >&2
    [ "${CI:-}" != true ] || exit 1
    echo "make: phones work without them; the console in the browser does not" >&2
    exit 0
}

command -v npm >/dev/null || cannot "npm is missing; on Debian or Ubuntu:  apt install npm"
node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
         process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)' ||
    cannot "they need Node.js 20.19, or 22.12 or newer; this is $(node --version)"

# One build at a time: `make run` and `make test` may stand in two windows.
exec 9>.building
if command -v flock >/dev/null; then flock 9; fi

installed=node_modules/.installed
if [ ! -e "$installed" ] || [ package.json -nt "$installed" ] || [ package-lock.json -nt "$installed" ]; then
    echo "make: installing what the web pages are built with into frontend/node_modules"
    npm ci --ignore-scripts --no-audit --no-fund --loglevel=error || cannot "npm could not install what they need"
    touch "$installed"
fi
echo "make: building the web pages"
npm run --silent build -- --logLevel warn || cannot "the build failed"
