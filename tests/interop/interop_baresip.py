# SPDX-License-Identifier: Apache-2.0
"""baresip without sound card or screen: a tone as microphone, what it hears in WAV files, JSON control."""

import json
import shutil
from pathlib import Path

from interop_process import HERE, Place, Program, free_port, require, wait_until
from interop_sound import write_tone

CONFIG = """\
sip_listen {host}:{port}
{certificate}
net_interface {host}
audio_source aufile,{folder}/in.wav
audio_player aubridge,x
audio_alert aubridge,alert
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels {channels}
auplay_channels {channels}
rtp_ports {rtp_low}-{rtp_high}
snd_path {folder}/rec
ctrl_tcp_listen 127.0.0.1:{control}
module_path {modules}
{codec_modules}
module sndfile.so
module aufile.so
module aubridge.so
module_tmp uuid.so
module_tmp account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
"""


#: A made-up camera, and a screen that counts what it is shown.
VIDEO = """\
video_source fakevideo
video_display fakevideo
video_size 320x240
video_bitrate 500000
video_fps 15
module vp8.so
module fakevideo.so
"""
#: What a codec needs: its module, and the rate and channels of the sound files.
CODECS = {"g711": (8000, 1), "g722": (16000, 1), "opus": (48000, 2), "l16": (16000, 1), "gsm": (8000, 1)}
#: What the kinds of media encryption need.
ENCRYPTION_MODULES = {"srtp": "srtp.so", "srtp-mand": "srtp.so", "dtls_srtp": "dtls_srtp.so"}


class Baresip:
    """One baresip with one account.

    `codec` is the only one it has (a key of CODECS); `encryption` is baresip's `mediaenc`: "srtp" offers it,
    "srtp-mand" insists, "dtls_srtp" is what browsers do.
    """

    def __init__(
        self,
        folder: Path,
        *,
        user: str,
        password: str,
        domain: str,
        server: str,
        transport: str = "udp",
        frequency: float = 440.0,
        answer: str = "auto",
        contacts: tuple[str, ...] = (),
        expires: int = 600,
        place: Place = HERE,
        codec: str = "g711",
        encryption: str = "",
        video: bool = False,
    ) -> None:
        program = require("baresip", "baresip")
        folder.mkdir(parents=True)
        (folder / "rec").mkdir()
        self.folder = folder
        self.user = user
        rate, channels = CODECS[codec]
        write_tone(folder / "in.wav", frequency, rate=rate, channels=channels)
        modules = [f"{codec}.so", *([ENCRYPTION_MODULES[encryption]] if encryption else [])]
        self.port = free_port(pair=True)
        self.control_port = free_port()
        rtp = free_port()
        (folder / "config").write_text(
            CONFIG.format(
                host=place.host,
                port=self.port,
                certificate="",
                folder=folder,
                rtp_low=rtp,
                rtp_high=rtp + 40,
                control=self.control_port,
                modules=_module_path(),
                codec_modules="\n".join(f"module {module}" for module in modules)
                + f"\n{VIDEO if video else ''}",
                rate=rate,
                channels=channels,
            )
        )
        (folder / "accounts").write_text(
            f"<sip:{user}@{domain};transport={transport}>;auth_user={user};auth_pass={password};"
            f'regint={expires};answermode={answer};outbound="sip:{server};transport={transport}"'
            f"{f';mediaenc={encryption}' if encryption else ''}\n"
        )
        (folder / "contacts").write_text("".join(f"{contact}\n" for contact in contacts))
        self.program = Program([*place.prefix, program, "-4", "-v", "-s", "-f", str(folder)], folder / "log")
        self.program.wait_for("baresip is ready", 10)
        self._control = place.connect(self.control_port)
        self._control.settimeout(0.05)
        self._buffer = b""
        self.events: list[dict[str, object]] = []
        self._answers: list[dict[str, object]] = []

    def command(self, name: str, parameters: str = "") -> str:
        """Run a baresip command; what it says."""
        message = json.dumps({"command": name, "params": parameters, "token": "t"}).encode()
        self._control.sendall(b"%d:%s," % (len(message), message))
        self._answers.clear()

        def answered() -> object:
            self._read()
            return self._answers

        wait_until(answered, 5, f"an answer to {name}")
        return str(self._answers.pop().get("data", ""))

    def wait_registered(self, timeout: float = 10.0) -> None:
        # baresip prints the state in colour: the OK stands behind an escape sequence
        wait_until(
            lambda: "OK" in self.command("reginfo"),
            timeout,
            lambda: f"{self.user} registered\n{self.log_tail()}",
        )

    def wait_event(self, kind: str, timeout: float = 10.0) -> dict[str, object]:
        """Wait for an event such as CALL_ESTABLISHED; it is taken from the list."""

        def find() -> dict[str, object] | None:
            self._read()
            for index, event in enumerate(self.events):
                if event.get("type") == kind:
                    return self.events.pop(index)
            return None

        event = wait_until(find, timeout, lambda: f"{kind} at {self.user}\n{self.log_tail()}")
        assert isinstance(event, dict)
        return event

    def heard(self) -> Path:
        """The file of what this phone heard in its last call."""
        files = sorted(self.folder.glob("rec/dump-*-dec.wav"), key=lambda file: file.stat().st_mtime)
        assert files, f"{self.user} recorded nothing:\n{self.log_tail()}"
        return files[-1]

    def log_tail(self) -> str:
        return self.program.output[-4000:]

    def stop(self) -> None:
        self._control.close()
        self.program.stop(timeout=3)

    def _read(self) -> None:
        try:
            chunk = self._control.recv(65536)
        except TimeoutError:
            chunk = b""
        self._buffer += chunk
        while b":" in self._buffer:
            length, rest = self._buffer.split(b":", 1)
            size = int(length)
            if len(rest) < size + 1:
                return
            message = json.loads(rest[:size])
            self._buffer = rest[size + 1 :]
            (self.events if message.get("event") else self._answers).append(message)


def _module_path() -> str:
    program = shutil.which("baresip")
    assert program is not None
    for folder in (Path("/usr/lib/baresip/modules"), Path(program).parent.parent / "lib/baresip/modules"):
        if folder.is_dir():
            return str(folder)
    raise AssertionError("baresip's modules were not found")
