# SPDX-License-Identifier: Apache-2.0
"""Why does a phone not register, or is not believed? RB-3xxx: passwords, addresses, times."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.server.verdicts.diagnostic import Diagnostic, Verdict
from ringback.server.verdicts.story import Story, Transaction

CHALLENGES = (401, 407)

WRONG_PASSWORD = Diagnostic(
    3001,
    "Wrong password or user name",
    "error",
    "The phone proved something that does not fit: its password is wrong, or that of another device, or"
    " there is no such user. (Strangers get the same answer in both cases, so that they learn nothing.)",
    "Enter number and password once more, exactly; `ringback user list` shows the numbers, and a new"
    " password is made with `ringback device add`.",
)
LOCKED_OUT = Diagnostic(
    3002,
    "Locked out after wrong passwords",
    "error",
    "After several wrong passwords from one address even a right one has to wait, longer each time.",
    "Correct the password in the phone (perhaps an old device still tries), and wait for the time that"
    " the answer says.",
)
NO_PASSWORD = Diagnostic(
    3003,
    "Asked for a password and gave none",
    "error",
    "The phone was asked to prove who it is and sent nothing more: no password is entered, or it expects"
    " another realm than this server's.",
    'Enter the password of the account. If the phone has a field "realm" or "domain", leave it empty or'
    " enter the domain of this server.",
)
STALE = Diagnostic(
    3004,
    "The phone does not take up new nonces",
    "warning",
    "What the phone proves with was valid for some minutes and has expired. It was given a new one and"
    " uses the old one again.",
    "Update the phone; a longer authentication.nonce_lifetime helps for the time being.",
)
OTHER_ADDRESS = Diagnostic(
    3005,
    "Registers an address that is not its own",
    "error",
    "The password is right, and the phone wants to register another user's address, or another domain.",
    "User name, authentication name and number must be the same account; the domain must be this server's.",
)
TOO_BRIEF = Diagnostic(
    3006,
    "The registration time is refused again and again",
    "warning",
    "The phone asks for a shorter time than is allowed (423), is told the minimum, and does not obey.",
    "Set the registration time of the phone to registrar.minimum_expires or more.",
)
REGISTER_REFUSED = Diagnostic(
    3007,
    "The registration was refused",
    "error",
    "The registrar took the password and refused what was to be registered.",
    "The text says why: a Contact that leads back to this server, too many contacts, a request out of order.",
)
EXPIRED = Diagnostic(
    3008,
    "The registration has expired",
    "error",
    "The phone did not refresh its registration in time, so nothing leads to it any more.",
    "See whether the phone is on and has a network; let it register more often.",
)

TABLE = (
    WRONG_PASSWORD,
    LOCKED_OUT,
    NO_PASSWORD,
    STALE,
    OTHER_ADDRESS,
    TOO_BRIEF,
    REGISTER_REFUSED,
    EXPIRED,
)


def find(story: Story) -> Iterator[Verdict]:
    """All that is wrong with proving and registering."""
    for tries in _requests_with_credentials(story):
        yield from _passwords(story, tries)
    yield from _addresses(story)
    yield from _expired(story)


def _requests_with_credentials(story: Story) -> Iterator[list[Transaction]]:
    """The tries of one sender with one method: a REGISTER or INVITE, and again with credentials."""
    groups: dict[tuple[str, str, str], list[Transaction]] = {}
    for each in story.transactions:
        if not each.is_ours and each.finals and each.method not in ("ACK", "CANCEL"):
            key = (each.request.call_id, each.method, each.request.remote_host)
            groups.setdefault(key, []).append(each)
    return iter(groups.values())


def _passwords(story: Story, tries: list[Transaction]) -> Iterator[Verdict]:
    """What counts is how it ended: a wrong password that was corrected is no trouble any more."""
    last = tries[-1]
    final = last.final
    assert final is not None
    name, request = story.who(last.request), last.request
    if last.status == 503 and _has_credentials(last) and _refused_by(story, "failures"):
        wait = final.header("retry-after")
        yield LOCKED_OUT.verdict(
            f"{name} at {request.remote} has to wait {wait or 'some'} s after too many wrong passwords.",
            [request.index, final.index],
        )
        return
    if last.status not in CHALLENGES:
        return
    proofs = [each for each in tries if _has_credentials(each)]
    if not proofs:
        yield NO_PASSWORD.verdict(
            f"{request.method} of {name} from {request.remote} was answered {last.status}"
            f" {_times(len(tries))}, and no credentials came.",
            [request.index, final.index],
        )
    elif all(_is_stale(each) for each in proofs):
        if len(proofs) > 1:
            yield STALE.verdict(
                f"{name} used an expired nonce {len(proofs)} times, and was given a new one each time.",
                [each.request.index for each in proofs],
            )
    else:
        yield WRONG_PASSWORD.verdict(
            f"{request.method} of {name} from {request.remote} came {_times(len(proofs))} with"
            f" credentials that do not fit{_detail(story)}.",
            [index for each in proofs for index in (each.request.index, each.finals[0].index)],
        )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _has_credentials(transaction: Transaction) -> bool:
    request = transaction.request
    return bool(request.header("authorization") or request.header("proxy-authorization"))


def _is_stale(transaction: Transaction) -> bool:
    challenges = [
        line
        for final in transaction.finals
        for name in ("www-authenticate", "proxy-authenticate")
        for line in final.headers(name)
    ]
    return any("stale=true" in line.replace(" ", "").lower() for line in challenges)


def _refused_by(story: Story, rule: str) -> bool:
    """Without any decision at hand the status is believed."""
    return not story.decisions or bool(story.decided(service="authentication", rule=rule))


def _detail(story: Story) -> str:
    """What the server knows and does not tell strangers: whether the user exists at all."""
    refused = story.decided(service="authentication", rule="credentials", verdict="refused")
    return f" ({refused[-1]['saw']})" if refused else ""


def _addresses(story: Story) -> Iterator[Verdict]:
    registers = [each for each in story.transactions if each.method == "REGISTER" and not each.is_ours]
    if not registers:
        return
    last = registers[-1]
    final, request = last.final, last.request
    if final is None or last.status < 300 or last.status in CHALLENGES:
        return
    words = final.summary.removeprefix("SIP/2.0 ")
    evidence = [request.index, final.index]
    briefs = [each for each in registers if each.status == 423]
    if last.status == 423 and len(briefs) > 1:
        yield TOO_BRIEF.verdict(
            f"{story.who(request)} asked {len(briefs)} times for less than {final.header('min-expires')} s.",
            evidence,
        )
    elif last.status == 403 and story.decided(service="authentication", verdict="refused"):
        saw = story.decided(service="authentication", verdict="refused")[-1]["saw"]
        yield OTHER_ADDRESS.verdict(f"{saw}: {words}.", evidence)
    elif last.status not in (423, 503):
        yield REGISTER_REFUSED.verdict(f"{story.who(request)} was told {words}.", evidence)


def _expired(story: Story) -> Iterator[Verdict]:
    """Of a call that found nobody: what was left of the registrations."""
    if story.outcome != 480:
        return
    for decision in story.decided(service="target set"):
        expired = [str(each) for each in decision.get("rejected") or () if "has expired" in str(each)]
        if expired:
            yield EXPIRED.verdict(f"{'; '.join(expired)}.")
            return
