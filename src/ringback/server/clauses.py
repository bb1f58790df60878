# SPDX-License-Identifier: Apache-2.0
"""In which ways do the services decide? The table of all clauses, for `ringback explain` and the call page.

A row says which service, which rule of it, how it ended (`passed`, `refused`, `asked`, `chosen`, `noted`),
what it saw, what it chose, and where the rule stands. `{0}` is the first fact that the service adds, `{1}`
the second. In a source, `setting x.y` is shown with its value and with file and line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringback.server.decisions import Clause, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ringback.server.anchoring import Attempt
    from ringback.server.binding import Binding
    from ringback.server.routing import Decision
    from ringback.server.targets import Target

# --- admission ----------------------------------------------------------------------------------------

LOOPING = Clause(
    "admission", "loop", "refused", "it was here before, unchanged", "482 Loop Detected", "RFC 5393 4.2"
)
NO_HOPS = Clause(
    "admission", "hops", "refused", "Max-Forwards is 0", "483 Too Many Hops", "RFC 3261 16.3 item 3"
)
NO_BREADTH = Clause("admission", "breadth", "refused", "Max-Breadth is 0", "440", "RFC 5393 5.3.3")
LONG_ADDRESS = Clause(
    "admission", "address", "refused", "an address of {0} characters", "414", "RFC 3261 21.4.12"
)
ODD_SCHEME = Clause(
    "admission", "address", "refused", "the scheme of {0}", "416: nobody here can route it", "RFC 3261 16.3"
)
UNKNOWN_EXTENSION = Clause(
    "admission", "extensions", "refused", "it requires {0}", "420 Bad Extension", "RFC 3261 16.3 item 5"
)
NO_DIALOG = Clause(
    "admission", "method", "refused", "{0} belongs to no call that is on here", "481", "RFC 3261 12.2.2"
)
UNSUPPORTED_METHOD = Clause("admission", "method", "refused", "the method {0}", "405", "RFC 3261 21.4.6")
NO_USER = Clause(
    "admission", "address", "refused", "the address {0}, which names no user", "404", "RFC 3261 21.4.5"
)

# --- authentication -----------------------------------------------------------------------------------

CHALLENGED = Clause(
    "authentication",
    "credentials",
    "asked",
    "{0} without credentials for this server",
    "{1}: asked for a password",
    "RFC 3261 22.1",
)
STALE = Clause(
    "authentication",
    "credentials",
    "asked",
    "credentials of {0} for a nonce that has expired",
    "a new nonce",
    "setting authentication.nonce_lifetime",
)
WRONG_PASSWORD = Clause(
    "authentication",
    "credentials",
    "refused",
    "credentials of {0}: {1}",
    "asked for a password again",
    "RFC 7616 3.4",
)
TOO_MANY_FAILURES = Clause(
    "authentication",
    "failures",
    "refused",
    "too many wrong passwords for {0} from {1}",
    "503, with no look at the password, for {2} s",
    "server/backoff.py",
)


def _proven(principal: Any) -> Words:
    device = getattr(principal, "device", "")
    return Words(
        "the password is right",
        f"user {principal.number}{f', device {device}' if device else ''}",
        (),
        "RFC 7616",
    )


PROVEN = Clause("authentication", "credentials", "passed", words=_proven)
NOT_REGISTRAR = Clause(
    "authentication", "domain", "refused", "REGISTER for {0}", "403: not our domain", "setting sip.domain"
)
NOT_OWN_ADDRESS = Clause(
    "authentication", "address", "refused", "user {0} registers {1}", "403: not its address", "RFC 3261 10.3"
)
FROM_IS_NOT_THEIRS = Clause(
    "authentication",
    "From",
    "refused",
    "user {0} sends From: {1}",
    "403: users speak for themselves",
    "server/authentication.py",
)
NO_CALLS_OUT = Clause(
    "authentication",
    "calls out",
    "refused",
    "user {0} calls {1}, which is not in our domain",
    "403: no calls out of the domain",
    "setting proxy.users_may_call_out",
)
STRANGER_MAY = Clause(
    "authentication",
    "strangers",
    "passed",
    "{0} has no account here and calls a user of ours",
    "it may",
    "setting proxy.strangers_may_call",
)
STRANGER_MAY_NOT = Clause(
    "authentication",
    "strangers",
    "refused",
    "{0} has no account here and calls {1}",
    "403 Forbidden",
    "setting proxy.strangers_may_call",
)

GUEST_MAY_NOT = Clause(
    "authentication",
    "guest",
    "refused",
    "guest {0} sends {1}",
    "403: it may only call {2}",
    "pbx/accounts.py",
)

# --- registrar ----------------------------------------------------------------------------------------


def _registered(user: str, bindings: Sequence[Binding], removed: Sequence[str], now: float) -> Words:
    kept = [f"{each.uri_text} for {max(0, round(each.expires_at - now))} s" for each in bindings]
    gone = [f"{len(removed)} removed"] if removed else []
    return Words(f"REGISTER of {user}", "; ".join([*kept, *gone]) or "nothing changed", (), "RFC 3261 10.3")


def _refreshed(binding: Binding, seconds: int) -> Words:
    return Words(f"REGISTER of {binding.user}", f"{binding.uri_text} for {seconds} s", (), "RFC 3261 10.3")


REGISTERED = Clause("registrar", "bindings", "passed", words=_registered)
REFRESHED = Clause("registrar", "bindings", "passed", words=_refreshed)
NOT_REGISTERED = Clause("registrar", "bindings", "refused", "REGISTER of {0}", "{1}: {2}", "RFC 3261 10.3")

# --- destination --------------------------------------------------------------------------------------


def decision_in_words(decision: Decision | None) -> str:
    """Where a decision of the dial plan leads."""
    kind = type(decision).__name__
    if kind == "ToUser":
        return f"the phones of {decision.number}"  # type: ignore[union-attr]
    if kind == "ToUsers":
        return f"the phones of {', '.join(decision.numbers) or 'everybody'}"  # type: ignore[union-attr]
    if kind == "ToApplication":
        return f"the application {decision.name}"  # type: ignore[union-attr]
    if kind == "ToUri":
        return f"the address {decision.uri}"  # type: ignore[union-attr]
    if kind == "Refusal":
        reason = f" {decision.reason}" if decision.reason else ""  # type: ignore[union-attr]
        return f"{decision.status}{reason}"  # type: ignore[union-attr]
    return "nowhere"


def _by_dial_plan(plan: Any, user: str, method: str, caller: Any, decision: Decision) -> Words:
    """The plan is asked for its reasons when somebody wants to know them. It may have changed meanwhile."""
    chose = decision_in_words(decision)
    by = f"{caller.number}" if caller is not None else "a stranger"
    saw = f"{by} dialled {user or 'nobody'}"
    explain = getattr(plan, "explain", None)
    ruling = explain(user, method=method, caller=caller) if explain is not None else None
    if ruling is None:
        return Words(saw, chose, (), "server/routing.py")
    if ruling.decision != decision:
        return Words(saw, chose, (), "the dial plan as it was then")
    passed_over = getattr(ruling, "passed_over", ())
    source = f"dial plan rule '{ruling.rule}'"
    place = getattr(ruling, "place", "")
    return Words(
        f"{saw}: {ruling.reason}",
        chose,
        [f"rule '{each}' does not apply" for each in passed_over],
        f"{source} ({place})" if place else source,
    )


DIALLED = Clause("destination", "dial plan", "chosen", words=_by_dial_plan)
NUMBER_REFUSED = Clause("destination", "dial plan", "refused", words=_by_dial_plan)
OTHER_DOMAIN = Clause(
    "destination",
    "domain",
    "chosen",
    "{0}, which is not in our domain",
    "the address as it stands",
    "setting sip.domain",
)
APPLICATION = Clause("applications", "application", "chosen", "{0} is one of this server", "it answers")
APPLICATION_FULL = Clause(
    "applications", "room", "refused", "{0} calls are answered already", "486", "setting media.max_calls"
)
APPLICATION_REFUSED = Clause("applications", "application", "refused", "{0}: {1}", "{2}")
REDIRECTED = Clause(
    "redirect",
    "redirect",
    "chosen",
    "{0} is registered with {1} phones",
    "302: the caller calls them itself",
    "setting proxy.redirect_instead_of_proxy",
)

# --- target set ---------------------------------------------------------------------------------------


def target_in_words(target: Target) -> str:
    """Where one target is: the way it is reached."""
    if target.is_gone:
        return f"{target.text} (its connection is lost)"
    return f"{target.text} ({target.flow.transport} {target.flow.remote})" if target.flow else target.text


def _targets(decision: Decision | None, targets: Sequence[Target], left_out: Sequence[str] = ()) -> Words:
    lost = [target_in_words(each) for each in targets if each.is_gone and not each.alternates]
    left = [target_in_words(each) for each in targets if not each.is_gone or each.alternates]
    source = "RFC 3261 16.5"
    return Words(
        decision_in_words(decision), ", ".join(left) or "480: nobody to call", [*lost, *left_out], source
    )


TARGETS = Clause("target set", "phones", "chosen", words=_targets)
NO_TARGETS = Clause("target set", "phones", "refused", words=_targets)

# --- proxy --------------------------------------------------------------------------------------------

ANSWERED_BY = Clause("proxy", "forking", "chosen", "{0} answered {1}", "it has the call", "RFC 3261 16.7")
BRANCH_FAILED = Clause("proxy", "forking", "noted", "{0} answered {1}", "others are asked, if there are any")


def _silent(name: str, status: int) -> Words:
    """Nothing came from a phone: what it counts as was made here."""
    what = "said nothing" if status == 408 else "cannot be reached: its connection is lost"
    return Words(f"{name} {what}", f"counts as {status}", (), "RFC 3261 16.8")


BRANCH_SILENT = Clause("proxy", "forking", "noted", words=_silent)
GAVE_UP = Clause("proxy", "forking", "noted", "the caller gave up", "what rings is told to stop")
OUTCOME = Clause("proxy", "forking", "refused", "nobody took the call", "{0}", "RFC 3261 16.7 step 6")

# --- bridge -------------------------------------------------------------------------------------------

BRIDGED = Clause(
    "bridge",
    "mode",
    "chosen",
    "{0} begins a call",
    "the server is a party to it, as call {1}",
    "setting calls.mode",
)
GUEST_IS_BUSY = Clause(
    "bridge", "guest", "refused", "the guest has a call already", "403: one call at a time", "pbx/accounts.py"
)
TOO_MANY_CALLS = Clause(
    "bridge", "calls", "refused", "{0} calls are on", "503: no room", "setting calls.max_bridged"
)


def _refused_offer(name: str, detail: str, status: int, security: str) -> Words:
    source = "setting media.security" if security == "required" else "RFC 3264"
    return Words(f"what {name} offers: {detail}", str(status), (), source)


OFFER_REFUSED = Clause("bridge", "description", "refused", words=_refused_offer)
TAKEOVER = Clause(
    "bridge", "Replaces", "chosen", "{0} replaces {1} in its call", "it has the call", "RFC 3891 3"
)


def _attempt(name: str, attempt: Attempt, later: Sequence[Attempt]) -> Words:
    """Other manners are not rejected yet: they come when this one is refused (488)."""
    kept = [f"{manner_in_words(each)}: only if this is refused" for each in later]
    saw = f"the offer for {name}" + (f": {attempt.reason}" if attempt.reason else "")
    return Words(saw, manner_in_words(attempt), kept, _ANCHOR)


def manner_in_words(attempt: Attempt) -> str:
    """How a call is offered."""
    if not attempt.reason:
        return "as it is: the two send to each other"
    also = f", also {', '.join(attempt.codecs)}" if attempt.codecs else ""
    return f"sound through this server ({attempt.security.value}{also})"


_ANCHOR = "setting media.anchor"
OFFERED = Clause("bridge", "sound", "chosen", words=_attempt)


def _leg_refused(name: str, status: int, phrase: str, warning: str) -> Words:
    said = f"{name} answered {status} {phrase}" + (f" (Warning: {warning})" if warning else "")
    return Words(said, "another way or another phone is tried, if there is one", (), "RFC 3261 16.7")


LEG_REFUSED = Clause("bridge", "search", "noted", words=_leg_refused)
LEG_UNUSABLE = Clause("bridge", "search", "noted", "what {0} says cannot be taken: {1}", "it is not asked")
LEG_SILENT = Clause("bridge", "search", "noted", words=_silent)
LEG_ANSWERED = Clause("bridge", "search", "chosen", "{0} answered", "it has the call", "RFC 3261 16.7")
NOBODY_ANSWERED = Clause(
    "bridge",
    "ring time",
    "noted",
    "nobody answered in {0:g} s",
    "what rings is told to stop",
    "setting proxy.ring_time",
)
CALL_REFUSED = Clause(
    "bridge", "search", "refused", "nobody took the call", "{0} {1}", "RFC 3261 16.7 step 6"
)
TRANSFER = Clause("transfer", "REFER", "chosen", "{0} sends the other to {1}", "{2}", "RFC 5589")
TRANSFER_REFUSED = Clause("transfer", "REFER", "refused", "{0} wants a transfer to {1}", "{2}", "RFC 5589")
