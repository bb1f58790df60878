# SPDX-License-Identifier: Apache-2.0
"""What is measured, and how good must it be? One row a line; targets are CPU, Ringback over Kamailio tuned."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench_generator import Load


@dataclass(frozen=True, slots=True)
class Case:
    """A scenario under one condition."""

    name: str
    title: str
    load: Load
    digest: str = ""
    tls: bool = False
    traced: bool = False
    must: float | None = None
    aim: float | None = None
    only: str = ""
    """The server that alone can do this."""
    finds_limit: bool = False
    """Whether the highest rate without loss is looked for."""

    once: bool = False
    """One run says enough: there is no target for it."""
    settles: bool = True
    """Kamailio's memory is new until it has kept transactions for 5 s: at saturation that has to be waited for."""

    def for_seconds(self, seconds: float, warm_up: float) -> Case:
        return replace(
            self,
            load=replace(self.load, seconds=seconds, warm_up=warm_up if self.settles else min(warm_up, 2.0)),
        )


CASES = (
    Case("call", "basic call, UDP, saturation", Load("call"), must=0.7, aim=0.35, finds_limit=True),
    Case("call-traced", "the same, trace written", Load("call"), traced=True, once=True),
    Case("call-2000", "basic call, UDP, 2 000 calls/s", Load("call", rate=2000), must=1.2, aim=0.8, settles=False),
    Case("call-500", "basic call, UDP, 500 calls/s", Load("call", rate=500), must=1.5, aim=1.0, settles=False),
    Case("call-tcp", "basic call, TCP, saturation", Load("call", tcp=True, sources=8), must=1.0, aim=0.6),
    Case("call-tls", "basic call, TLS, saturation", Load("call", tcp=True, sources=8), tls=True, must=1.0, aim=0.6),
    Case("call-digest", "basic call, caller challenged (407, MD5)", Load("call-digest"), digest="MD5", once=True),
    Case("fork", "call, first contact answers 480, next one 200", Load("fork"), once=True),
    Case("message", "MESSAGE to a registered user", Load("message"), once=True),
    Case("register-md5", "REGISTER refresh, digest MD5", Load("register-digest"), digest="MD5", must=2.0, aim=1.0, settles=False),
    Case("register-sha256", "REGISTER refresh, digest SHA-256", Load("register-digest", sha256=True), digest="SHA-256", must=2.0, aim=1.0, settles=False),
    Case("register-challenge", "REGISTER, 401, REGISTER with digest MD5", Load("register-challenge"), digest="MD5", once=True, settles=False),
    Case("register", "REGISTER refresh without digest", Load("register"), only="kamailio", once=True, settles=False),
    Case("options", "OPTIONS answered statelessly", Load("options"), must=3.0, aim=1.5, settles=False),
    Case("refused", "REGISTER refused with 401", Load("refused"), digest="MD5", once=True, settles=False),
)  # fmt: skip
BY_NAME = {case.name: case for case in CASES}
