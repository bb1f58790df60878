# SPDX-License-Identifier: Apache-2.0
"""What is the sound of one call? Offer, answer, speak, listen, press keys, record: all `ua/` needs of media.

session = await AudioSession.open(network, host="192.0.2.10")
offer = session.make_offer()          # goes into the INVITE
session.accept_answer(answer)         # came with the 2xx, or earlier
session.start()
with session.record("call.wav"):
    await session.play("hello.wav")
await session.close()
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ringback.media.certificate import Certificate
from ringback.media.codecs import formats_for
from ringback.media.files import read_frames
from ringback.media.input import FrameIterator, Input, Recording
from ringback.media.output import Output
from ringback.media.pcm import SAMPLE_RATE
from ringback.media.ports import PortRange
from ringback.media.session_video import OpenTransport, SessionVideo
from ringback.media.shared_port import SharedPort
from ringback.media.statistics import StreamStatistics
from ringback.media.stream import AudioStream
from ringback.media.tones import key_tone
from ringback.media.transport import RtpTransport
from ringback.net.network import Network
from ringback.rtp.telephone_event import event_code
from ringback.sdp.attributes import Direction
from ringback.sdp.bundle import bundle_tags, is_open
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.local_stream import LocalStream
from ringback.sdp.offer_answer import AudioCapabilities, NegotiatedAudio, make_answer, make_offer, negotiate
from ringback.sdp.security import Security, is_rtp
from ringback.sdp.session import SessionDescription
from ringback.sdp.stream import stream_of
from ringback.sip.errors import InvalidState
from ringback.sip.flow import Address

#: Keys that wait to be asked for; more are dropped.
MOST_KEYS = 64

Source = Path | str | bytes | Iterable[bytes]
RandomBytes = Callable[[int], bytes]
IsSelf = Callable[[Address], bool]


class Recorder(Protocol):
    """A recording that ends with the session."""

    @property
    def is_running(self) -> bool: ...

    def stop(self) -> None: ...


class AudioSession:
    """One audio stream and its negotiation. Make it with `open`; `close` it whatever happens."""

    def __init__(
        self,
        capabilities: AudioCapabilities,
        stream: AudioStream,
        transport: RtpTransport,
        random_bytes: RandomBytes,
        *,
        is_self: IsSelf,
        accepts_any_security: bool = False,
        open_another: OpenTransport | None = None,
    ) -> None:
        self._open_another = open_another
        #: The pictures of the call; None: they are refused.
        self.video: SessionVideo | None = None
        self._capabilities = capabilities
        self._accepts_any_security = accepts_any_security
        self._transport = transport
        self._is_self = is_self
        self._random_bytes = random_bytes
        self._stream = stream
        stream.receiver.on_key = self._key_pressed
        self._session_id = int.from_bytes(random_bytes(4), "big") >> 1
        #: Our description both ends agreed on, the one we sent last, and the peer's.
        self._local: SessionDescription | None = None
        self._last_sent: SessionDescription | None = None
        self._remote: SessionDescription | None = None
        self._signalling_host: str | None = None
        self._keys: deque[str] = deque()
        self._key_came = asyncio.Event()
        self.recordings: list[Recorder] = []
        #: Called with every key the peer presses.
        self.on_digit: list[Callable[[str], None]] = []
        #: What is agreed on; None before that, and when the peer wants no audio.
        self.negotiated: NegotiatedAudio | None = None
        #: True between `hold(True)` and `hold(False)`.
        self.is_held = False

    @classmethod
    async def open(
        cls,
        network: Network,
        *,
        host: str,
        advertise: str | None = None,
        ports: PortRange | None = None,
        codecs: Sequence[str] = ("PCMU", "PCMA"),
        random_bytes: RandomBytes = os.urandom,
        is_self: IsSelf = lambda address: False,
        security: Security = Security.PLAIN,
        ice: bool = False,
        rtcp_mux: bool = False,
        accepts_any_security: bool = False,
        certificate: Certificate | None = None,
        shared: SharedPort | None = None,
    ) -> AudioSession:
        """Bind two ports on `host`; `advertise` is the address that peers see, when it is another one.

        `is_self` knows the sockets of this program: a description that names one of them is refused (488),
        so that nobody makes us talk to ourselves. `security`, `ice` and `rtcp_mux` are what is offered, and
        demanded of an offer; with `accepts_any_security` the peer's first offer decides, so that phones and
        browsers can be answered alike. `shared` is the port for those with ICE and rtcp-mux.
        """
        formats = formats_for(codecs)
        open_transport = partial(
            RtpTransport.open,
            network,
            host=host,
            ports=ports,
            advertise=advertise or "",
            security=security,
            ice=ice,
            rtcp_mux=rtcp_mux,
            certificate=certificate,
            random_bytes=random_bytes,
            shared=shared,
        )
        transport = await open_transport()
        stream = AudioStream(transport, random_bytes)
        capabilities = AudioCapabilities(formats, transport.address)
        return cls(
            capabilities,
            stream,
            transport,
            random_bytes,
            is_self=is_self,
            accepts_any_security=accepts_any_security,
            open_another=open_transport,
        )

    # --- negotiating ------------------------------------------------------------------------------

    async def take_video(self, offer: bytes | None) -> None:
        """Take part in video, too, from the next answer on; `offer` is what that will answer."""
        if self.video is None and not self.is_closed:
            self.video = SessionVideo(
                self._transport,
                self._open_another,
                name=self._stream.rtcp.cname,
                random_bytes=self._random_bytes,
                adopts=self._accepts_any_security,
                allow_loopback=self._capabilities.loopback_is_allowed,
                is_self=self._is_self,
            )
        if self.video is not None:
            await self.video.prepare(offer)

    def make_offer(self, direction: str = "sendrecv") -> bytes:
        """A description to send as an offer, the first or a changed one."""
        offer = make_offer(
            self._as(self._transport.describe_offer()),
            session_id=self._session_id,
            wanted=Direction(direction),
            previous=self._last_sent,
            video=self.video.offering() if self.video is not None else None,
        )
        self._last_sent = offer
        return offer.to_bytes()

    def make_answer(self, offer: bytes, *, signalling_host: str | None = None) -> bytes:
        """The answer to an offer, which is in force at once. PeerError (488) leaves all as it was.

        `signalling_host` is where the peer's SIP messages come from: media of a peer behind a NAT may, too.
        """
        remote = SessionDescription.parse(offer)
        answer = make_answer(
            remote,
            self._as(self._answering(remote, signalling_host)),
            session_id=self._session_id,
            wanted=Direction.SENDONLY if self.is_held else Direction.SENDRECV,
            previous=self._last_sent,
            video=self.video.answering(remote, signalling_host) if self.video is not None else None,
        )
        self._agree(answer, remote, signalling_host, is_offerer=False)
        self._last_sent = answer
        return answer.to_bytes()

    def accept_answer(self, answer: bytes, *, signalling_host: str | None = None) -> None:
        """The answer to our last offer. The same one again (in a 183, then in the 200) changes nothing."""
        if self._last_sent is None:
            raise InvalidState("an answer without an offer")
        remote = SessionDescription.parse(answer)
        if remote == self._remote and self._last_sent == self._local:
            return
        self._agree(self._last_sent, remote, signalling_host, is_offerer=True)

    def hold(self, on: bool) -> bytes:
        """The offer that puts the peer on hold, or takes it off (RFC 3264 section 8.4)."""
        self.is_held = on
        return self.make_offer("sendonly" if on else "sendrecv")

    def start(self) -> None:
        """Let the sound flow, as far as it is negotiated. Twice is as good as once."""
        self._stream.start()
        if self.video is not None:
            self.video.stream.start()

    async def close(self) -> None:
        """End everything: recordings are finished, players return, iterations end, the ports are free."""
        for recording in self.recordings:
            recording.stop()
        if self.video is not None:
            self.video.close()
        self._stream.close()
        self._key_came.set()

    # --- sound ------------------------------------------------------------------------------------

    async def play(self, source: Source, rate: int = SAMPLE_RATE) -> None:
        """Play a WAV file, PCM, a tone, or any iterable of PCM frames; return when the last of it was sent.

        Cancelling stops it. Sources play one after the other. UnreadableAudio if the file is none.
        """
        rate = self.output.rate if isinstance(source, Path | str) else rate
        frames = _frames_of(source, rate)
        if self._stream.is_closed:
            return
        playing = self._stream.output.play(frames, rate)
        try:
            await playing.finished
        finally:
            self._stream.output.stop(playing)

    def write(self, pcm: bytes, rate: int = SAMPLE_RATE) -> None:
        """Say this next, at the pace of speech. PCM of 16 bits, any length."""
        if not self._stream.is_closed:
            self._stream.output.write(pcm, rate)

    @property
    def queued(self) -> float:
        """Seconds of written sound that wait to be sent."""
        return self._stream.output.queued

    def flush(self) -> None:
        """Forget what waits to be said."""
        self._stream.output.clear()

    def frames(self, rate: int = SAMPLE_RATE) -> FrameIterator:
        """What is heard from now on, as PCM frames of 20 ms; ends when the session is closed."""
        return self._stream.input.frames(rate)

    def record(self, path: Path | str) -> Recording:
        """Record what is heard into a WAV file until `stop()`, the end of the `with` block, or `close`."""
        recording = Recording(self._stream.input, path)
        self.recordings = [each for each in self.recordings if each.is_running]
        self.recordings.append(recording)
        return recording

    # --- keys -------------------------------------------------------------------------------------

    async def send_dtmf(self, digits: str) -> None:
        """Press keys: as telephone events, or as tones if the peer knows none. ValueError for no key."""
        for digit in digits:
            event_code(digit)
        for digit in digits:
            if self._stream.is_closed:
                return
            if self._stream.sender.telephone_event is None:
                await self.play(key_tone(digit))
            else:
                await self._stream.sender.press(digit).finished

    async def digit(self, timeout: float | None = None) -> str | None:
        """The next key the peer presses; None after `timeout` seconds or at the end of the session."""
        try:
            async with asyncio.timeout(timeout):
                while not self._keys:
                    if self._stream.is_closed:
                        return None
                    self._key_came.clear()
                    await self._key_came.wait()
        except TimeoutError:
            return None
        return self._keys.popleft()

    @property
    def input(self) -> Input:
        """Where what is heard goes."""
        return self._stream.input

    @property
    def output(self) -> Output:
        """Where what is said comes from."""
        return self._stream.output

    @property
    def local(self) -> Address:
        """Where our RTP socket is, as peers see it; RTCP is the next port."""
        return self._transport.address

    @property
    def ports(self) -> set[int]:
        """Where its packets come in."""
        own = {self.local.port, self.local.port + 1}
        return own | self.video.ports if self.video is not None else own

    @property
    def is_closed(self) -> bool:
        """True once its ports are free again."""
        return self._stream.is_closed

    @property
    def statistics(self) -> StreamStatistics:
        """How the stream is doing, or did."""
        return self._stream.statistics

    def _negotiate(self, local: SessionDescription, remote: SessionDescription) -> NegotiatedAudio | None:
        negotiated = negotiate(local, remote)
        named = (negotiated.remote, negotiated.remote_rtcp) if negotiated else ()
        if any(address is not None and self._is_self(address) for address in named):
            raise UnacceptableSession("the media address is one of ours", section="RFC 3264 5")
        return negotiated

    def _agree(
        self,
        local: SessionDescription,
        remote: SessionDescription,
        signalling_host: str | None,
        *,
        is_offerer: bool,
    ) -> None:
        negotiated = self._negotiate(local, remote)
        host = signalling_host or self._signalling_host
        self._stream.configure(negotiated, is_offerer=is_offerer, signalling_host=host)
        if self.video is not None:
            self.video.agree(local, remote, host, is_offerer=is_offerer)
        self._local, self._remote, self.negotiated = local, remote, negotiated
        self._signalling_host = host

    def _as(self, own: LocalStream) -> AudioCapabilities:
        return replace(self._capabilities, address=own.address, local=own)

    def _answering(self, remote: SessionDescription, signalling_host: str | None) -> LocalStream:
        """What we say of our end to the first audio stream that it can serve."""
        refusal: UnacceptableSession | None = None
        tags = bundle_tags(remote)
        may_loop = self._capabilities.loopback_is_allowed
        for index, media in enumerate(remote.media):
            if media.line.media != "audio" or not is_open(media, tags) or not is_rtp(media.line.protocol):
                continue
            try:
                stream = stream_of(remote, index, tags=tags, allow_loopback=may_loop)
                if self._accepts_any_security and self.negotiated is None:
                    self._transport.adopt(stream)
                return self._transport.describe_answer(stream, signalling_host=signalling_host)
            except UnacceptableSession as error:
                refusal = refusal or error
        if refusal is not None:
            raise refusal
        return self._transport.own

    def _key_pressed(self, key: str) -> None:
        if len(self._keys) < MOST_KEYS:
            self._keys.append(key)
        self._key_came.set()
        loop = asyncio.get_running_loop()
        for callback in self.on_digit:
            loop.call_soon(callback, key)


def _frames_of(source: Source, rate: int) -> Iterator[bytes]:
    if isinstance(source, Path | str):
        return read_frames(source, rate)
    return iter((source,)) if isinstance(source, bytes) else iter(source)
