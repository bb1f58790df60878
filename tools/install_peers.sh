#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the real programs that tests/interop runs, from Debian's packages, as root or through sudo; with the
# argument "bench" those of `make bench`, too.
# Without either it says what is missing and goes on: those tests then skip, and fail where CI=true.
set -euo pipefail

declare -A package_of=(
    [baresip]=baresip [linphonec]=linphone-cli [sipp]=sip-tester [sipsak]=sipsak [kamailio]=kamailio [espeak-ng]=espeak-ng
    [chromium]=chromium [pebble]=pebble [turnserver]=coturn [rtpengine]=rtpengine-daemon
    [ip]=iproute2 [iptables]=iptables
    [node]=nodejs [npm]=npm [valgrind]=valgrind
)
[ "${1:-}" != bench ] || package_of+=([stunnel4]=stunnel4 [openssl]=openssl [cc]="gcc libc6-dev")
missing=()
for program in "${!package_of[@]}"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || read -ra missing <<<"${missing[*]} ${package_of[$program]}"
done
if [ "${1:-}" = bench ] && ! ls /usr/lib/*/kamailio/modules/tls.so >/dev/null 2>&1; then missing+=(kamailio-tls-modules); fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "peers: not installed (no apt-get here): ${missing[*]}; their tests will be skipped" >&2
    exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "peers: install them for all tests to run:  sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 0
fi

# Services that come with a package must not start by themselves. A policy that was there before stays.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
cleanup() { if [ -n "$made_policy" ]; then "${as_root[@]}" rm -f "$policy"; fi; }
trap cleanup EXIT

echo "peers: installing ${missing[*]}"
log=$(mktemp)
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1
}
"${as_root[@]}" apt-get update >"$log" 2>&1 || true
if ! install; then
    tail -n 20 "$log" >&2
    echo "peers: apt-get could not install ${missing[*]}; their tests will be skipped" >&2
fi
rm -f "$log"
