# SPDX-License-Identifier: Apache-2.0
"""SIPp scenarios told step by step: one side of a call, as the XML that SIPp reads.

A `Script` counts its CSeq numbers itself, and keeps what a side has to remember: who calls whom, the Via of
the INVITE, the number of a reliable response.
"""

from pathlib import Path
from xml.sax.saxutils import quoteattr

SDP = """\
v=0
o=- 1 {version} IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a={direction}"""

CALLER_DIALOG = (
    "From: <sip:sipp@elsewhere.invalid>;tag=[pid]c[call_number]",
    "To: <sip:[service]@[domain]>[peer_tag_param]",
)
CALLEE_DIALOG = ("From:[$to];tag=[pid]a[call_number]", "To:[$from]")
#: What a callee has to keep of the INVITE: its responses follow other requests.
KEPT_BY_CALLEE = {"via": "Via:", "from": "From:", "to": "To:", "sequence": "CSeq:"}


class Script:
    """One side of a call. `allow` is what it says it understands."""

    def __init__(self, *, allow: str = "INVITE, ACK, BYE, CANCEL, PRACK, UPDATE") -> None:
        self._steps: list[str] = []
        self._names: list[str] = []
        self._cseq = self._invite = self._version = 0
        self._invite_uri = ""
        self._dialog = CALLER_DIALOG
        self._allow = allow

    # --- what is sent

    def invite(self, *headers: str, sdp: str = "") -> "Script":
        """The first INVITE of a caller."""
        return self.request("INVITE", *headers, sdp=sdp, uri="sip:[service]@[domain]")

    def request(self, method: str, *headers: str, sdp: str = "", uri: str = "[next_url]") -> "Script":
        """A request; `sdp` is the direction of its offer or answer, none when it is empty."""
        is_first = uri.startswith("sip:")
        self._cseq += method != "ACK"
        self._invite = self._cseq if method == "INVITE" else self._invite
        self._invite_uri = uri if method == "INVITE" else self._invite_uri
        number = self._invite if method == "ACK" else self._cseq
        lines = [
            f"{method} {uri} SIP/2.0",
            "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport",
            *([] if is_first else ["[routes]"]),
            *([line.removesuffix("[peer_tag_param]") for line in self._dialog] if is_first else self._dialog),
            "Call-ID: [call_id]",
            f"CSeq: {number} {method}",
            "Contact: <sip:sipp@[local_ip]:[local_port]>",
            "Max-Forwards: 70",
            f"Allow: {self._allow}",
            *headers,
        ]
        return self._send(lines, sdp, "" if method == "ACK" else ' retrans="500"')

    def ack_refusal(self) -> "Script":
        """The ACK of a final response that is not a 2xx: it belongs to the transaction (RFC 3261 17.1.1.3)."""
        lines = [f"ACK {self._invite_uri} SIP/2.0", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]",
                 f"CSeq: {self._invite} ACK", "Max-Forwards: 70"]  # fmt: skip
        return self._send(lines, "")

    def answer_invite(self, status: int, *headers: str, sdp: str = "") -> "Script":
        """A response of a callee to the INVITE that made the call."""
        lines = [f"SIP/2.0 {status} So", "Via:[$via]", "From:[$from]", "To:[$to];tag=[pid]a[call_number]",
                 "[last_Call-ID:]", "CSeq:[$sequence]", "Contact: <sip:sipp@[local_ip]:[local_port]>",
                 f"Allow: {self._allow}", *headers]  # fmt: skip
        return self._send(lines, sdp, ' retrans="500"' if status >= 200 else "")

    def respond(self, status: int, *headers: str, sdp: str = "") -> "Script":
        """A response to the request that came last."""
        lines = [f"SIP/2.0 {status} So", "[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]",
                 "[last_CSeq:]", "Contact: <sip:sipp@[local_ip]:[local_port]>", f"Allow: {self._allow}", *headers]  # fmt: skip
        return self._send(lines, sdp)

    def respond_to(self, name: str, status: int) -> "Script":
        """A refusal of a request that was received `as_name`, after others have come."""
        lines = [f"SIP/2.0 {status} So", f"Via:[${name}_via]", *(f"{word}:[${name}_{word}]" for word in ("From", "To")),
                 "[last_Call-ID:]", f"CSeq:[${name}_sequence]"]  # fmt: skip
        return self._send(lines, "", ' retrans="500"')

    def pause(self, milliseconds: int) -> "Script":
        self._steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    # --- what is received

    def expect(
        self, what: str | int, *, body: str = "", header: tuple[str, str] | None = None, as_name: str = ""
    ) -> "Script":
        """A request or a response, with a body and a header field that look like this."""
        checks = []
        if body:
            checks.append(self._check("body", body))
        if header is not None:
            checks.append(self._check("hdr", header[1], header[0]))
        if as_name:
            for name, field in (("via", "Via:"), ("From", "From:"), ("To", "To:"), ("sequence", "CSeq:")):
                checks.append(self._keep(f"{as_name}_{name}", field))
        return self._receive(what, checks)

    def expect_invite(self, *, body: str = "", header: tuple[str, str] | None = None) -> "Script":
        """The INVITE that a callee begins with."""
        self._dialog = CALLEE_DIALOG
        checks = [self._keep(name, field) for name, field in KEPT_BY_CALLEE.items()]
        checks += [self._check("body", body)] if body else []
        checks += [self._check("hdr", header[1], header[0])] if header is not None else []
        return self._receive("INVITE", checks)

    def expect_reliable(self, status: int, *, body: str = "") -> "Script":
        """A provisional response that asks for a PRACK, and the PRACK (RFC 3262)."""
        checks = [self._check("hdr", "100rel", "Require:"), self._keep("rseq", "RSeq:", "[0-9]+")]
        checks += [self._check("body", body)] if body else []
        self._receive(status, checks)
        return self.request("PRACK", f"RAck: [$rseq] {self._invite} INVITE").expect(200)

    def maybe(self, *statuses: int) -> "Script":
        """Responses that may come first."""
        self._steps += [f'<recv response="{status}" optional="true"/>' for status in statuses]
        return self

    # --- the file

    def write(self, path: Path) -> Path:
        """The scenario for SIPp's -sf."""
        names = f'<Reference variables="{",".join(dict.fromkeys(self._names))}"/>' if self._names else ""
        steps = "\n".join(self._steps)
        path.write_text(
            f'<?xml version="1.0"?>\n<scenario name="{path.stem}">\n{steps}\n{names}\n</scenario>\n'
        )
        return path

    def _send(self, lines: list[str], sdp: str, retransmitted: str = "") -> "Script":
        self._version += bool(sdp)
        text = "\n".join(
            [*lines, *(["Content-Type: application/sdp"] if sdp else []), "Content-Length: [len]", ""]
        )
        body = f"\n{SDP.format(direction=sdp, version=self._version)}\n" if sdp else "\n"
        self._steps.append(f"<send{retransmitted}><![CDATA[\n{text}{body}]]></send>")
        return self

    def _receive(self, what: str | int, checks: list[str]) -> "Script":
        kind = f'request="{what}"' if isinstance(what, str) else f'response="{what}"'
        route = ' rrs="true"' if what == "INVITE" or (isinstance(what, int) and 180 <= what < 300) else ""
        self._steps.append(f"<recv {kind}{route} timeout=\"5000\"><action>{''.join(checks)}</action></recv>" if checks
                           else f'<recv {kind}{route} timeout="5000"/>')  # fmt: skip
        return self

    def _check(self, place: str, pattern: str, header: str = "") -> str:
        name = f"seen{len(self._names)}"
        self._names.append(name)
        field = f' header="{header}"' if header else ""
        return f'<ereg regexp={quoteattr(pattern)} search_in="{place}"{field} check_it="true" assign_to="{name}"/>'

    def _keep(self, name: str, header: str, pattern: str = ".*") -> str:
        self._names.append(name)
        return (
            f'<ereg regexp="{pattern}" search_in="hdr" header="{header}" check_it="true" assign_to="{name}"/>'
        )
