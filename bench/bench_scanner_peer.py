# SPDX-License-Identifier: Apache-2.0
"""How long does one other parser take for one INVITE? Run by the Python of a throw-away environment, one parser a process.

python bench_scanner_peer.py PACKAGE FILE        prints microseconds, or nothing and fails
"""

import asyncio
import collections
import collections.abc
import importlib
import sys
import time
import timeit
import types


def attribute(module: str, *path: str) -> object:
    found = importlib.import_module(module)
    for name in path:
        found = getattr(found, name)
    return found


def with_sippy(data: bytes) -> object:
    request = attribute("sippy.SipRequest", "SipRequest")
    text = data.decode()
    return lambda: request(text)


def with_rfcvoip(data: bytes) -> object:
    message = attribute("rfcvoip.SIP", "SIPMessage")
    return lambda: message(data)


def with_asyncsip(data: bytes) -> object:
    parse, head = attribute("asyncsip.message", "Message", "from_raw_headers"), data.partition(b"\r\n\r\n")[0]

    def parse_and_key() -> tuple[object, ...]:
        message = parse(head)
        return message, keys(message.headers)

    return parse_and_key


def with_sipdoctor(data: bytes) -> object:
    parse = attribute("sipdoctor.sip", "parse")
    return lambda: parse(data, 0.0, "192.0.2.10", 5060, "192.0.2.20", 5060, "UDP")


def keys(headers: object) -> tuple[object, ...]:
    """What a user of a parser has to do that only splits lines, to find the transaction and the dialog."""
    branch = headers["via"].partition("branch=")[2].partition(";")[0]
    from_tag = headers["from"].partition(";tag=")[2].partition(";")[0]
    to_tag = headers["to"].partition(";tag=")[2].partition(";")[0]
    number, _, method = headers["cseq"].partition(" ")
    return branch, headers["call-id"], int(number), method, from_tag, to_tag


def with_voip_utils(data: bytes) -> object:
    parse, text = attribute("voip_utils.sip", "SipMessage", "parse_sip"), data.decode()

    def parse_and_key() -> tuple[object, ...]:
        message = parse(text)
        return message, keys(message.headers)

    return parse_and_key


def with_pyvoip(data: bytes) -> object:
    importlib.import_module("pyVoIP.VoIP")
    message = attribute("pyVoIP.SIP", "SIPMessage")
    return lambda: message(data)


def with_twisted(data: bytes) -> object:
    parser = attribute("twisted.protocols.sip", "MessagesParser")

    def parse() -> None:
        got = []
        machine = parser(got.append)
        machine.dataReceived(data)
        machine.dataDone()
        assert got

    return parse


def calling(module: str, *path: str, text: bool = False) -> object:
    def make(data: bytes) -> object:
        function, given = attribute(module, *path), data.decode() if text else data
        return lambda: function(given)

    return make


PARSERS = {
    "aiosip": calling("aiosip.message", "Message", "from_raw_message", text=True),
    "asyncsip": with_asyncsip,
    "aiosipua": calling("aiosipua.message", "SipMessage", "parse"),
    "sipmessage": calling("sipmessage", "Message", "parse"),
    "opensip": calling("opensip.message", "parse_message"),
    "voip-utils": with_voip_utils,
    "sip-ladder": calling("sip_ladder.message", "SipMessage", "parse"),
    "sip-doctor": with_sipdoctor,
    "sippy": with_sippy,
    "rfcvoip": with_rfcvoip,
    "pyvoip": with_pyvoip,
    "twisted": with_twisted,
}


def main() -> None:
    asyncio.coroutine = types.coroutine  # two of them were written for Python 3.6
    collections.MutableMapping = collections.abc.MutableMapping
    with open(sys.argv[2], "rb") as file:
        data = file.read()
    parse = PARSERS[sys.argv[1]](data)
    parse()
    loops = max(1, int(0.2 / max(timeit.timeit(parse, number=20), 1e-6) * 20))
    print(min(timeit.repeat(parse, number=loops, repeat=7, timer=time.process_time)) / loops * 1e6)


if __name__ == "__main__":
    main()
