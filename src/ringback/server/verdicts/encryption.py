# SPDX-License-Identifier: Apache-2.0
"""Why did TLS not come about? RB-4xxx: from the list of handshakes that failed, ours and others'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ringback.server.verdicts.diagnostic import Diagnostic, Verdict

OURS_EXPIRED = Diagnostic(
    4001,
    "Our certificate has expired, says the phone",
    "error",
    "The phone broke off the handshake because the certificate of this server is no longer valid, or"
    " because the clock of the phone is wrong.",
    "Renew the certificate (tls.certificate), then `ringback reload`. If it is valid, set the clock of"
    " the phone.",
)
OURS_UNKNOWN = Diagnostic(
    4002,
    "The phone does not know who signed our certificate",
    "error",
    "The certificate of this server was made by itself, or by an authority that the phone does not know.",
    "Install the certificate of the authority on the phone (the page /trust on this server), or use one"
    " from a public authority.",
)
OURS_REFUSED = Diagnostic(
    4003,
    "The phone refuses our certificate",
    "error",
    "Usually the name that the phone was told to call is not in the certificate.",
    "Enter a server name in the phone that is in the certificate, or get a certificate for the name that"
    " phones use.",
)
NO_TLS = Diagnostic(
    4004,
    "Plain text on the TLS port",
    "error",
    "Somebody spoke without encryption to a port that takes TLS only.",
    "Set the transport of the phone to TLS, or let it use port 5060 for UDP and TCP.",
)
NO_COMMON_VERSION = Diagnostic(
    4005,
    "No common version of TLS",
    "error",
    "The phone knows only versions or ciphers that are no longer safe, or such that are not here.",
    "Update the phone; it needs TLS 1.2 or newer.",
)
TOO_SLOW = Diagnostic(
    4006,
    "The TLS handshake took too long",
    "warning",
    "The handshake was begun and not ended in time: a slow or lossy line, a firewall that looks into it,"
    " or a scanner.",
    "limits.handshake_timeout is the time it may take.",
)
HUNG_UP = Diagnostic(
    4007,
    "The phone hung up in the TLS handshake",
    "warning",
    "The connection was closed without a word. Some phones do that when they do not like the certificate.",
    "Look what the phone says about its certificate check; install our authority on it, or use a"
    " certificate from a public one.",
)
THEIRS_EXPIRED = Diagnostic(
    4010,
    "The other server's certificate has expired",
    "error",
    "We called a server over TLS, and its certificate is not valid any more (or not yet).",
    "Its owner has to renew it. Check our clock, too.",
)
THEIRS_UNKNOWN = Diagnostic(
    4011,
    "The other server's certificate is of an unknown authority",
    "error",
    "We called a server over TLS, and nobody we know has signed its certificate.",
    "Its owner needs a certificate of a public authority; or add the authority to those this machine trusts.",
)
THEIRS_NAMES_ANOTHER = Diagnostic(
    4012,
    "The other server's certificate names somebody else",
    "error",
    "We called a server by one name, and its certificate is for other names (RFC 5922).",
    "Use a name that is in its certificate.",
)
THEIRS_OTHER = Diagnostic(
    4013,
    "TLS to another server failed",
    "error",
    "We called a server over TLS, and the handshake failed.",
    "The text has what our TLS library says.",
)
OTHER = Diagnostic(
    4014,
    "A TLS handshake failed",
    "warning",
    "The handshake failed for another reason than the usual ones.",
    "The text has what our TLS library says.",
)

TABLE = (
    OURS_EXPIRED,
    OURS_UNKNOWN,
    OURS_REFUSED,
    NO_TLS,
    NO_COMMON_VERSION,
    TOO_SLOW,
    HUNG_UP,
    THEIRS_EXPIRED,
    THEIRS_UNKNOWN,
    THEIRS_NAMES_ANOTHER,
    THEIRS_OTHER,
    OTHER,
)

#: By the kinds of `net/tls_failures.py`, of those who called us, and of those we called.
THEY_CALLED = {
    "peer says expired": OURS_EXPIRED,
    "peer says unknown authority": OURS_UNKNOWN,
    "peer refuses certificate": OURS_REFUSED,
    "no TLS": NO_TLS,
    "no common version": NO_COMMON_VERSION,
    "took too long": TOO_SLOW,
    "hung up": HUNG_UP,
}
WE_CALLED = {
    "expired": THEIRS_EXPIRED,
    "not yet valid": THEIRS_EXPIRED,
    "unknown authority": THEIRS_UNKNOWN,
    "another name": THEIRS_NAMES_ANOTHER,
}


def judge(failure: Mapping[str, Any]) -> Verdict:
    """The verdict on one failed handshake, as `TlsFailure.described` tells it."""
    kind, name = str(failure.get("kind")), str(failure.get("server_name") or "")
    remote, count = failure.get("remote"), int(failure.get("count") or 1)
    times = "once" if count == 1 else f"{count} times"
    if failure.get("we_called"):
        row = WE_CALLED.get(kind, THEIRS_OTHER)
        return row.verdict(f"TLS to {name or remote} at {remote} failed {times}: {failure.get('detail')}.")
    row = THEY_CALLED.get(kind, OTHER)
    words = f"TLS with {remote} failed {times}: {failure.get('detail')}"
    if name:
        words += f"; it wanted {name}"
    if failure.get("first_words"):
        words += f"; it said {failure['first_words']!r}"
    return row.verdict(f"{words}.")


def concerning(failures: Iterable[Mapping[str, Any]], hosts: frozenset[str]) -> list[Verdict]:
    """Of those that somebody at one of these addresses had."""
    return [
        judge(each) for each in failures if str(each.get("remote")).rpartition(":")[0].strip("[]") in hosts
    ]
