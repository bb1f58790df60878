# SPDX-License-Identifier: Apache-2.0
"""What would become of this message if it came now? It is told to a shadow of the running server.

The text may be as incomplete as people write it: what every request has and this one lacks is added. For a
user (`as`) the challenge is answered with what the directory has, so that the rest is decided as for a phone
with the right password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ringback.server.shadow import ShadowServer
from ringback.sip.digest_client import DigestClient
from ringback.sip.errors import PeerError, RingbackError
from ringback.sip.flow import Address, Flow, Transport
from ringback.sip.message.message import Request, Response
from ringback.sip.message.parser import parse_message
from ringback.sip.message.secrets import without_secrets

if TYPE_CHECKING:
    from ringback.pbx.app import PhoneSystem
    from ringback.server.subscribers import Subscriber

Answer = dict[str, Any]

LARGEST = 65_536
CHALLENGES = (401, 407)
#: What a request must have (8.1.1) and people leave out. The last is only there to be found again.
ADDED = (
    ("via", "v", "Via: SIP/2.0/{transport} {source};rport;branch=z9hG4bKdryrun"),
    ("max-forwards", "", "Max-Forwards: 70"),
    ("from", "f", "From: <{address}>;tag=dryrun"),
    ("to", "t", "To: <{target}>"),
    ("cseq", "", "CSeq: 1 {method}"),
    ("call-id", "i", "Call-ID: dry-run"),
)
SOMEBODY = "sip:somebody@elsewhere.invalid"

_SOURCE = re.compile(r"\[?([0-9A-Fa-f.:]+?)\]?:([0-9]{1,5})|\[?([0-9A-Fa-f.:]+)\]?")
_LENGTH = re.compile(r"(?im)^(?:content-length|l)[ \t]*:.*\r?\n?")
_CREDENTIALS = re.compile(r"(?im)^(?:proxy-)?authorization[ \t]*:.*\r?\n(?:[ \t].*\r?\n)*")


class UnfitMessage(RingbackError):
    """The text, or where it is to come from, makes no sense."""


async def dry_run(system: PhoneSystem, arguments: Mapping[str, Any]) -> Answer:
    """The verb: {message, source, transport, as} -> {decisions, outgoing, response}."""
    user = str(arguments.get("as") or "")
    transport = _transport(str(arguments.get("transport") or "UDP"))
    source = _source(str(arguments.get("source") or "127.0.0.1:5060"))
    subscriber = system.directory.find(user) if user else None
    if user and subscriber is None:
        raise UnfitMessage(f"there is no user {user}")
    address = (
        f"sip:{subscriber.number}@{system.server.identity.domain}" if subscriber is not None else SOMEBODY
    )
    text = str(arguments.get("message") or "")
    data = completed(text, transport=transport, source=source, address=address, is_unproven=bool(user))
    shadow = ShadowServer(system.server)
    try:
        return await _told(shadow, data, _flow(system, transport, source), subscriber)
    finally:
        await shadow.close()


def completed(text: str, *, transport: Transport, source: Address, address: str, is_unproven: bool) -> bytes:
    """The message as it would stand on the wire. Credentials of somebody else's trace are left out."""
    if len(text) > LARGEST:
        raise UnfitMessage(f"the message is longer than {LARGEST} octets")
    text = text.lstrip().replace("\r\n", "\n")
    head, _, body = text.partition("\n\n")
    start, _, rest = head.partition("\n")
    method, _, target = start.rpartition(" ")[0].partition(" ")
    if start.startswith("SIP/2.0 ") or not target or not start.endswith(" SIP/2.0"):
        raise UnfitMessage(
            'the first line must be that of a request, such as "INVITE sip:102@office SIP/2.0"'
        )
    rest = _LENGTH.sub("", f"{rest.rstrip()}\n" if rest.strip() else "")
    if is_unproven:
        rest = _CREDENTIALS.sub("", rest)
    names = {line.partition(":")[0].strip().lower() for line in rest.splitlines()}
    facts = {"transport": transport, "source": source, "address": address, "target": target, "method": method}
    lines = [start, *(row.format(**facts) for name, short, row in ADDED if not {name, short} & names)]
    body = body.replace("\n", "\r\n")
    octets = body.encode("utf-8", "surrogateescape")
    head = "\r\n".join([*lines, *rest.splitlines(), f"Content-Length: {len(octets)}", "", ""])
    return head.encode("utf-8", "surrogateescape") + octets


async def _told(shadow: ShadowServer, data: bytes, flow: Flow, subscriber: Subscriber | None) -> Answer:
    try:
        request = parse_message(data)
        call_id = request.call_id
    except PeerError as error:
        raise UnfitMessage(f"the message cannot be read: {error.detail}") from error
    if not isinstance(request, Request):
        raise UnfitMessage("a response is not decided about")
    said = await shadow.tell(data, flow)
    response = _response(said, flow)
    if subscriber is not None and response is not None and response.status in CHALLENGES:
        again = _proven(request, response, subscriber, shadow.identity.realm)
        if again is not None:
            said = await shadow.tell(again, flow)
            response = _response(said, flow)
    return {
        "found": True,
        "call_id": call_id,
        "decisions": shadow.decisions.of(call_id),
        "outgoing": [_outgoing(octets, way) for octets, way in said if not octets.startswith(b"SIP/2.0 ")],
        "response": None if response is None else _described(response),
    }


def _response(said: Sequence[tuple[bytes, Flow]], flow: Flow) -> Response | None:
    """What the sender would hear last; a 100 is a sign of life only."""
    found = None
    for octets, way in said:
        if octets.startswith(b"SIP/2.0 ") and way.remote == flow.remote:
            message = parse_message(octets)
            if isinstance(message, Response) and (message.status > 100 or found is None):
                found = message
    return found


def _proven(request: Request, response: Response, subscriber: Subscriber, realm: str) -> bytes | None:
    """The request again, with the credentials of this user: its own password, or that of a device."""
    secrets = [subscriber.ha1s, *(device.ha1s for device in subscriber.devices)]
    ha1s = next((each for each in secrets if each), None)
    if ha1s is None:
        return None
    client = DigestClient(subscriber.number, ha1s=ha1s, realm=realm)
    again = client.authorize(request, response, cnonce="dryrun")
    if again is None:
        return None
    for via in request.headers.get_all("Via"):
        again.headers.add("Via", via.replace("branch=z9hG4bK", "branch=z9hG4bKagain", 1))
    return again.to_bytes()


def _outgoing(octets: bytes, flow: Flow) -> dict[str, Any]:
    text = without_secrets(octets).decode("utf-8", "replace")
    return {
        "to": str(flow.remote),
        "transport": str(flow.transport),
        "summary": text.partition("\r\n")[0],
        "text": text,
    }


def _described(response: Response) -> dict[str, Any]:
    text = without_secrets(response.to_bytes()).decode("utf-8", "replace")
    return {"status": response.status, "summary": text.partition("\r\n")[0], "text": text}


def _flow(system: PhoneSystem, transport: Transport, source: Address) -> Flow:
    endpoint = system.server.driver.endpoint_for(transport, source.host)
    if endpoint is None:
        raise UnfitMessage(f"this server does not listen for {transport}")
    return Flow(transport, endpoint.local, source, 0, endpoint.sent_by)


def _transport(text: str) -> Transport:
    try:
        return Transport(text.upper())
    except ValueError:
        words = ", ".join(str(each) for each in Transport)
        raise UnfitMessage(f"the transport is one of {words}") from None


def _source(text: str) -> Address:
    found = _SOURCE.fullmatch(text.strip())
    if found is None or int(found[2] or 0) > 65_535:
        raise UnfitMessage("the source is an address and a port, such as 203.0.113.9:5060")
    return Address(found[1] or found[3], int(found[2] or 5060))
