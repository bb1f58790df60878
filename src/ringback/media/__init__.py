# SPDX-License-Identifier: Apache-2.0
"""Running media: sockets, clocks, codecs, files and voices."""
