# SPDX-License-Identifier: Apache-2.0
"""`python -m ringback` is the `ringback` program."""

from ringback.cli import main

if __name__ == "__main__":
    main()
