# SPDX-License-Identifier: Apache-2.0
"""linphonec without a sound card: plays one file, records another, and is driven at its prompt."""

from pathlib import Path

from interop_process import Program, free_port, require, wait_until
from interop_sound import write_tone

CONFIG = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port=-1
bind_address=127.0.0.1
use_ipv6=0
verify_server_certs=0
media_encryption={encryption}
register_only_when_network_is_up=0
default_proxy=0
guess_hostname=0
contact="{user}" <sip:{user}@127.0.0.1>

[rtp]
audio_rtp_port={rtp}

[net]
mtu=1300

[proxy_0]
reg_proxy=<sip:{server};transport={transport}>
reg_route=<sip:{server};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires=600
reg_sendregister=1
publish=0

[auth_info_0]
username={user}
passwd={password}
realm={realm}
domain={domain}
"""


class Linphone:
    """One linphonec with one account."""

    def __init__(
        self,
        folder: Path,
        *,
        user: str,
        password: str,
        domain: str,
        server: str,
        realm: str = "",
        transport: str = "udp",
        frequency: float = 880.0,
        answers: bool = True,
        encryption: str = "none",
    ) -> None:
        program = require("linphonec", "linphone-cli")
        (folder / ".local/share/linphone").mkdir(parents=True)
        self.user = user
        self.recording = folder / "heard.wav"
        write_tone(folder / "in.wav", frequency)
        config = folder / "rc"
        config.write_text(
            CONFIG.format(
                udp=free_port() if transport == "udp" else -1,
                tcp=free_port() if transport == "tcp" else -1,
                rtp=free_port(pair=True),
                user=user,
                password=password,
                domain=domain,
                realm=realm or domain,
                server=server,
                transport=transport,
                encryption=encryption,
            )
        )
        self.log = folder / "linphone.log"
        self.program = Program(
            [program, "-c", str(config), *(["-a"] if answers else []), "-d", "6", "-l", str(self.log)],
            folder / "log",
            env={"HOME": str(folder)},
        )
        self.program.wait_for(r"Ready|linphonec>", 10)
        for line in ("soundcard use files", f"play {folder / 'in.wav'}", f"record {self.recording}"):
            self.program.say(line)

    def wait_registered(self) -> None:
        """The prompt says nothing by itself: ask until it knows."""

        def asked() -> bool:
            self.program.say("status register")
            return "registered, identity=" in self.program.output

        wait_until(asked, 15, f"{self.user} registered\n{self.program.output[-2000:]}")

    def heard(self) -> Path:
        """The recording, once linphone has closed it after the call."""

        def closed() -> bool:
            return (
                self.recording.exists()
                and self.recording.stat().st_size > 44
                and self.recording.read_bytes()[22] > 0
            )

        wait_until(closed, 5, f"a recording of {self.user}")
        return self.recording

    def stop(self) -> None:
        if self.program.process.poll() is None:
            self.program.say("quit")
        self.program.stop(timeout=3)
