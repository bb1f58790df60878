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
from pathlib import Path

from ringback.media.codecs import formats_for
from ringback.media.files import read_frames
from ringback.media.input import FrameIterator, Recording
from ringback.media.ports import PortRange
from ringback.media.statistics import StreamStatistics
from ringback.media.stream import AudioStream
from ringback.media.tones import key_tone
from ringback.net.network import Network
from ringback.rtp.telephone_event import event_code
from ringback.sdp.attributes import Direction
from ringback.sdp.errors import UnacceptableSession
from ringback.sdp.offer_answer import AudioCapabilities, NegotiatedAudio, make_answer, make_offer, negotiate
from ringback.sdp.session import SessionDescription
from ringback.sip.errors import InvalidState
from ringback.sip.flow import Address

#: Keys that wait to be asked for; more are dropped.
MOST_KEYS = 64

Source = Path | str | bytes | Iterable[bytes]
RandomBytes = Callable[[int], bytes]
IsSelf = Callable[[Address], bool]


class AudioSession:
    """One audio stream and its negotiation. Make it with `open`; `close` it whatever happens."""

    def __init__(
        self,
        capabilities: AudioCapabilities,
        stream: AudioStream,
        random_bytes: RandomBytes,
        *,
        is_self: IsSelf,
    ) -> None:
        self._capabilities = capabilities
        self._is_self = is_self
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
        self._recordings: list[Recording] = []
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
    ) -> AudioSession:
        """Bind two ports on `host`; `advertise` is the address that peers see, when it is another one.

        `is_self` knows the sockets of this program: a description that names one of them is refused (488),
        so that nobody makes us talk to ourselves.
        """
        formats = formats_for(codecs)
        stream = AudioStream(random_bytes)
        sockets = await stream.bind(network, host, ports)
        capabilities = AudioCapabilities(
            formats,
            Address(advertise or host, sockets.rtp.local.port),
            rtcp_port=sockets.rtcp.local.port,
        )
        return cls(capabilities, stream, random_bytes, is_self=is_self)

    # --- negotiating ------------------------------------------------------------------------------

    def make_offer(self, direction: str = "sendrecv") -> bytes:
        """A description to send as an offer, the first or a changed one."""
        offer = make_offer(
            self._capabilities,
            session_id=self._session_id,
            wanted=Direction(direction),
            previous=self._last_sent,
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
            self._capabilities,
            session_id=self._session_id,
            wanted=Direction.SENDONLY if self.is_held else Direction.SENDRECV,
            previous=self._last_sent,
        )
        negotiated = self._negotiate(answer, remote)
        self._last_sent = answer
        self._agree(answer, remote, negotiated, signalling_host)
        return answer.to_bytes()

    def accept_answer(self, answer: bytes, *, signalling_host: str | None = None) -> None:
        """The answer to our last offer. The same one again (in a 183, then in the 200) changes nothing."""
        if self._last_sent is None:
            raise InvalidState("an answer without an offer")
        remote = SessionDescription.parse(answer)
        if remote == self._remote and self._last_sent == self._local:
            return
        negotiated = self._negotiate(self._last_sent, remote)
        self._agree(self._last_sent, remote, negotiated, signalling_host)

    def hold(self, on: bool) -> bytes:
        """The offer that puts the peer on hold, or takes it off (RFC 3264 section 8.4)."""
        self.is_held = on
        return self.make_offer("sendonly" if on else "sendrecv")

    def start(self) -> None:
        """Let the sound flow, as far as it is negotiated. Twice is as good as once."""
        self._stream.start()

    async def close(self) -> None:
        """End everything: recordings are finished, players return, iterations end, the ports are free."""
        for recording in self._recordings:
            recording.stop()
        self._stream.close()
        self._key_came.set()

    # --- sound ------------------------------------------------------------------------------------

    async def play(self, source: Source) -> None:
        """Play a WAV file, PCM, a tone, or any iterable of PCM frames; return when the last of it was sent.

        Cancelling stops it. Sources play one after the other. UnreadableAudio if the file is none.
        """
        frames = _frames_of(source)
        if self._stream.is_closed:
            return
        playing = self._stream.output.play(frames)
        try:
            await playing.finished
        finally:
            self._stream.output.stop(playing)

    def write(self, pcm: bytes) -> None:
        """Say this next, at the pace of speech. PCM of 16 bits at 8000 Hz, any length."""
        if not self._stream.is_closed:
            self._stream.output.write(pcm)

    @property
    def queued(self) -> float:
        """Seconds of written sound that wait to be sent."""
        return self._stream.output.queued

    def flush(self) -> None:
        """Forget what waits to be said."""
        self._stream.output.clear()

    def frames(self) -> FrameIterator:
        """What is heard from now on, as 20 ms PCM frames; ends when the session is closed."""
        return self._stream.input.frames()

    def record(self, path: Path | str) -> Recording:
        """Record what is heard into a WAV file until `stop()`, the end of the `with` block, or `close`."""
        recording = Recording(self._stream.input, path)
        self._recordings = [each for each in self._recordings if each.is_running]
        self._recordings.append(recording)
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
    def local(self) -> Address:
        """Where our RTP socket is, as peers see it; RTCP is the next port."""
        return self._capabilities.address

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
        negotiated: NegotiatedAudio | None,
        signalling_host: str | None,
    ) -> None:
        self._local, self._remote, self.negotiated = local, remote, negotiated
        self._signalling_host = signalling_host or self._signalling_host
        self._stream.configure(negotiated, signalling_host=self._signalling_host)

    def _key_pressed(self, key: str) -> None:
        if len(self._keys) < MOST_KEYS:
            self._keys.append(key)
        self._key_came.set()
        loop = asyncio.get_running_loop()
        for callback in self.on_digit:
            loop.call_soon(callback, key)


def _frames_of(source: Source) -> Iterator[bytes]:
    if isinstance(source, Path | str):
        return read_frames(source)
    return iter((source,)) if isinstance(source, bytes) else iter(source)
