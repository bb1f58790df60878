# SPDX-License-Identifier: Apache-2.0
"""`ringback call` as one end of a call. Its recording goes on through hold and transfers, as baresip's does not."""

from interop_process import HERE, Place, Program
from interop_rig import PASSWORD, Rig
from interop_ringback import RINGBACK, Ringback
from interop_sound import seconds_of_tone, write_tone


class OurPhone:
    """Calls `number` as `user`, says a tone and records; `heard` is for after the end of the call."""

    def __init__(
        self, rig: Rig, server: Ringback, user: str, number: str, *, frequency: float, place: Place = HERE
    ) -> None:
        folder = rig.folder / f"our-{user}"
        folder.mkdir()
        self.recording = folder / "heard.wav"
        tone = write_tone(folder / "tone.wav", frequency)
        self.program: Program = rig.keep(
            Program(
                [*place.prefix, *RINGBACK, "call", f"sip:{number}@{server.domain}", "--as", f"{user}@{server.domain}",
                 "--password", PASSWORD, "--server", server.sip, "--play", str(tone), "--record", str(self.recording)],
                folder / "log",
            )
        )  # fmt: skip

    def seconds_of(self, frequency: float) -> float:
        """For how long it heard a tone."""
        self.program.wait(10)
        return seconds_of_tone(self.recording, frequency)
