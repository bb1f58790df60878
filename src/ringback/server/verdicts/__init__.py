# SPDX-License-Identifier: Apache-2.0
"""What went wrong with this call, and what helps? Numbered diagnostics over data.

    diagnose(record, messages) -> [{"code": "RB-5001", "title", "severity", "text", "advice", ...}, ...]

Files by family: `signalling.py` (RB-5xxx), `media.py` and `sound_quality.py` (RB-1xxx), `routing.py`
(RB-2xxx), `registration.py` (RB-3xxx), `encryption.py` (RB-4xxx). Each holds its rows and the functions
that find them; `diagnose.py` is the table. Nothing here asks anybody for anything: what is judged are
dictionaries as they are stored.
"""
