#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does the compiled kernel read or write where it must not? Its bent messages and packets once more, under AddressSanitizer
# and UBSan, every object in memory of its own and every local variable garbage at first. Needs gcc 12.
#     tools/sanitize_kernel.sh                     # the quick tests
#     tools/sanitize_kernel.sh -m slow -n auto     # many more: arguments are pytest's
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -r src setup.py pyproject.toml README.md LICENSE "$copy"
rm -f "$copy"/src/ringback/kernel/*.so
python=$PWD/.venv/bin/python
(
    cd "$copy"
    CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -ftrivial-auto-var-init=pattern" \
        LDFLAGS="-fsanitize=address,undefined" "$python" setup.py --quiet build_ext --inplace
)
export PYTHONPATH=$copy/src PYTHONMALLOC=malloc RINGBACK_KERNEL=python ASAN_OPTIONS=detect_leaks=0
LD_PRELOAD="$(gcc -print-file-name=libasan.so)" "$python" -m pytest -p no:cacheprovider -q --timeout 0 \
    tests/kernel/test_bent_octets.py tests/kernel/test_hidden_secrets.py tests/kernel/test_tape.py tests/kernel/test_door.py tests/kernel/test_bent_packets.py tests/kernel/test_relay_path.py tests/kernel/test_datagram_batch.py "${@:--m not slow}"
