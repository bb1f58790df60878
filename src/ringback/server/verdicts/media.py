# SPDX-License-Identifier: Apache-2.0
"""Why is there no sound, or bad sound? RB-1xxx: from the numbers of the media, and from the descriptions.

Numbers exist where the sound comes through this server. Of what flows between the phones directly only the
descriptions are known: they say whether it could arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ringback.sdp.security import Security
from ringback.server.anchoring import AnchoringPolicy, End, reason_to_anchor
from ringback.server.nat import is_numeric, is_reachable
from ringback.server.verdicts import sound_quality
from ringback.server.verdicts.description import Sound
from ringback.server.verdicts.diagnostic import Diagnostic, Verdict
from ringback.server.verdicts.story import Seen, Story, Transaction

#: Seconds without sound before anything is said; the media plane waits as long.
SILENCE = 10.0
REFUSED = (415, 488, 606)

SILENT = Diagnostic(
    1001,
    "No sound in either direction",
    "error",
    "Not one packet of sound came from either phone although both had the call: the ports of the server"
    " cannot be reached, or both were told to send somewhere else.",
    "Open the UDP ports media.first_port to media.last_port (10000 to 20000) to this server in every"
    " firewall on the way, and check that sip.advertise is the address that phones see.",
)
ONE_WAY = Diagnostic(
    1002,
    "Sound in one direction only",
    "error",
    "From one phone nothing comes, from the other it does. The silent one sends to an address or port"
    " that does not lead here, a firewall drops its packets, or its microphone is blocked.",
    "Look at the network of the silent phone first: a firewall or router there must let UDP out to the"
    " media ports of this server. For a browser, look whether it may use the microphone.",
)
OTHER_PORT = Diagnostic(
    1003,
    "Sound comes from another port than the description says",
    "warning",
    "The phone said in its description where it wants sound, and sends its own from another port or"
    " address. Answers go to where its sound comes from (symmetric RTP, RFC 4961), as nearly all phones"
    " expect. If it listens only where it said, it hears nothing.",
    "Switch on symmetric RTP in the phone. If a router changes the ports, let the phone use ICE or STUN.",
)
CANNOT_REACH = Diagnostic(
    1004,
    "The phones cannot send to each other, and nothing carries their sound",
    "error",
    "The phones were left to send their sound to each other, but what they said of themselves shows that"
    " it cannot arrive or cannot be understood: one is behind a NAT, they speak different versions of IP,"
    " or only one encrypts.",
    'Let the sound come through this server where it is needed: calls.mode = "bridge" and media.anchor ='
    ' "needed".',
)
NO_COMMON_CODEC = Diagnostic(
    1005,
    "The codecs do not meet",
    "error",
    "The phone refused what it was offered (488): it knows none of the codecs, or wants another kind of"
    " encryption.",
    "Switch on a codec that both have (PCMA and PCMU are known to nearly all), or let this server"
    ' translate: calls.mode = "bridge" and media.anchor not "never".',
)
NOT_ENCRYPTED = Diagnostic(
    1006,
    "Encryption is required, and the phone does not encrypt",
    "error",
    "This server takes only encrypted sound (SRTP), and the phone offered none.",
    'Switch on SRTP in the phone (often: "media encryption: SDES" or "mandatory"), together with TLS; or'
    ' set media.security to "optional".',
)
SOUND_REFUSED = Diagnostic(
    1007,
    "The call has no sound",
    "warning",
    "The answer refused the sound of the call (its port is 0), though the call was taken.",
    "Look at the codecs of the phone that answered.",
)
CARRIER_LOST = Diagnostic(
    1011,
    "The media process failed during the call",
    "warning",
    "The process that carried the sound ended; another took over, and the phones were asked to negotiate"
    " anew. For some seconds nothing was heard.",
    "Look into the log around that time, and report what it says.",
)

TABLE = (
    SILENT,
    ONE_WAY,
    OTHER_PORT,
    CANNOT_REACH,
    NO_COMMON_CODEC,
    NOT_ENCRYPTED,
    SOUND_REFUSED,
    CARRIER_LOST,
)


def find(story: Story) -> Iterator[Verdict]:
    """All that is wrong with the sound."""
    if story.is_answered:
        yield from _silence(story)
        yield from _other_ports(story)
        yield from _cannot_reach(story)
        yield from _refused_sound(story)
        yield from sound_quality.find(story)
    else:
        yield from _refused_description(story)
    yield from _carrier_lost(story)


# --- is anything heard? -------------------------------------------------------------------------------


def _heard(leg: Mapping[str, Any]) -> tuple[int, int] | None:
    """Packets of sound from and to this leg; None where they are not counted."""
    streams = [each for each in leg.get("streams") or () if each.get("kind") == "audio"]
    counted = [each for each in streams if each.get("packets_received") is not None]
    if not counted:
        return None
    received = sum(int(each["packets_received"]) for each in counted)
    return received, sum(int(each.get("packets_sent") or 0) for each in counted)


def _silence(story: Story) -> Iterator[Verdict]:
    """By the packets of the whole call, so that a hold or a mute is no fault; and by what the media plane
    noticed, which knows who should be sending.
    """
    legs = [(leg, heard) for leg in story.record.get("legs") or () if (heard := _heard(leg)) is not None]
    if story.talked < SILENCE or len(legs) < 2:
        return
    if len(legs) > 2:  # each of them was there for a part of the call
        yield from _fell_silent(story)
        return
    silent = [leg for leg, (received, _) in legs if not received and _should_send(story, leg)]
    if len(silent) == 2:
        names = " nor from ".join(story.leg_name(leg) for leg in silent)
        yield SILENT.verdict(f"In {story.talked:.0f} s nothing came from {names}.{_where(story, silent)}")
    elif silent:
        (leg,) = silent
        other = next((each, heard) for each, heard in legs if each is not leg)
        if not other[1][0]:
            return  # that one had nothing to send, and this one perhaps neither
        yield ONE_WAY.verdict(
            f"{story.leg_name(other[0])} is heard ({other[1][0]} packets), {story.leg_name(leg)} is not:"
            f" nothing came from it in {story.talked:.0f} s.{_where(story, silent)}"
        )
    else:
        yield from _fell_silent(story)


def _fell_silent(story: Story) -> Iterator[Verdict]:
    """There was sound, and then there was none for ten seconds, as the media plane says (not on hold)."""
    for note in story.record.get("notes") or ():
        text = str(note.get("text") or "")
        if text.startswith("one-way:"):
            words = text.removeprefix("one-way:").strip()
            verdict = ONE_WAY.verdict(f"During the call {words}, for more than 10 s.")
            verdict["severity"] = "warning"  # some phones send nothing while they are muted
            yield verdict
            return


def _should_send(story: Story, leg: Mapping[str, Any]) -> bool:
    """Its last description says so; without one it is believed."""
    sound = _last_sound(story, leg)
    return sound is None or sound.sends


def _where(story: Story, silent: list[Mapping[str, Any]]) -> str:
    words = []
    for leg in silent:
        sound = _last_sound(story, leg)
        if sound is not None:
            words.append(f"{story.leg_name(leg)} said it is at {sound.address}")
    return f" {'; '.join(words)}." if words else ""


def _last_sound(story: Story, leg: Mapping[str, Any]) -> Sound | None:
    """The last description that this leg has sent."""
    address = str(leg.get("address") or "").partition(" ")[0]
    call_id = str(leg.get("call_id") or "")
    for seen in reversed(story.seen):
        if seen.is_sent or (seen.remote != address and seen.call_id != call_id):
            continue
        sound = seen.sound
        if sound is not None:
            return sound
    return None


def _other_ports(story: Story) -> Iterator[Verdict]:
    """A phone behind a NAT comes from elsewhere, as everybody expects; one that is not should not."""
    for leg in story.record.get("legs") or ():
        media = str(leg.get("media_address") or "")
        sound, heard = _last_sound(story, leg), _heard(leg)
        if not media or sound is None or heard is None or not heard[0] or not sound.port:
            continue
        host, _, port = media.rpartition(":")
        host = host.strip("[]")
        if not is_numeric(sound.host) or not is_reachable(sound.host, host) or _has_ice(story, leg):
            continue
        if (host, port) != (sound.host, str(sound.port)):
            yield OTHER_PORT.verdict(
                f"{story.leg_name(leg)} sends its sound from {media}, but its description says"
                f" {sound.address}."
            )


def _has_ice(story: Story, leg: Mapping[str, Any]) -> bool:
    """Who speaks ICE says many addresses, and the pair that works is none of our business."""
    call_id = str(leg.get("call_id") or "")
    return any("a=candidate:" in each.text for each in story.seen if each.call_id == call_id)


# --- could it arrive? ---------------------------------------------------------------------------------


def _cannot_reach(story: Story) -> Iterator[Verdict]:
    """Of a call whose sound is not carried by us: what would have been the reason to carry it?"""
    came = story.first
    if came is None or came.is_ours or came.request.sound is None or _is_carried(story):
        return
    went = next((each for each in story.invitations(ours=True) if 200 <= each.status < 300), None)
    answer = went.final if went is not None else None
    if answer is None or answer.sound is None:
        return
    caller, callee = (_end(story, seen) for seen in (came.request, answer))
    reason = reason_to_anchor(caller, callee, AnchoringPolicy(is_possible=True))
    if reason:
        yield CANNOT_REACH.verdict(
            f"{reason}, and the sound does not come through this server.", [came.request.index, answer.index]
        )


def _is_carried(story: Story) -> bool:
    """True when what we told the phones about each other leads to us."""
    if any(_heard(leg) is not None for leg in story.record.get("legs") or ()):
        return True
    told = {each.sound.address for each in story.seen if each.is_sent and each.sound is not None}
    said = {each.sound.address for each in story.seen if not each.is_sent and each.sound is not None}
    return bool(told - said)


def _end(story: Story, seen: Seen) -> End:
    sound = seen.sound
    assert sound is not None
    security = Security.PLAIN
    if sound.has_fingerprint:
        security = Security.DTLS
    elif sound.is_encrypted:
        security = Security.SDES
    elif "a=crypto:" in seen.text:
        security = Security.OPPORTUNISTIC
    return End(
        story.who(seen),
        seen.remote_host if is_numeric(seen.remote_host) else "",
        sound.host if is_numeric(sound.host) else "",
        is_browser=seen.transport in ("WS", "WSS"),
        is_secret=seen.transport in ("TLS", "WSS"),
        security=security,
    )


# --- could it be understood? --------------------------------------------------------------------------


def _refused_description(story: Story) -> Iterator[Verdict]:
    if story.outcome not in REFUSED or story.first is None:
        return
    refusing = [each for each in story.invitations(ours=True) if each.status in REFUSED]
    by_phone = refusing[-1] if refusing else None
    transaction = by_phone or story.first
    final = transaction.final
    assert final is not None or not transaction.finals
    evidence = [transaction.request.index, *([final.index] if final is not None else [])]
    if by_phone is None and _is_about_encryption(story, final):
        yield NOT_ENCRYPTED.verdict(
            f"{story.who(story.first.request)} offered sound without encryption, and media.security is"
            " \"required\".",
            evidence,
        )  # fmt: skip
        return
    if final is not None:
        yield NO_COMMON_CODEC.verdict(_both_lists(story, transaction, refusing, final), evidence)


def _is_about_encryption(story: Story, final: Seen | None) -> bool:
    decided = story.decided(service="bridge", rule="description", verdict="refused")
    if any("media.security" in str(each.get("source")) for each in decided):
        return True
    return final is not None and "encrypt" in final.header("warning").lower()


def _both_lists(story: Story, transaction: Transaction, refusing: list[Transaction], final: Seen) -> str:
    offers = [each.request.sound for each in refusing or [transaction]]
    offered = list(dict.fromkeys(codec for sound in offers if sound is not None for codec in sound.codecs))
    caller = story.who(story.first.request) if story.first is not None else "the caller"
    refuser = "this server" if final.is_sent else story.who(final)
    known = _codecs_of(story, final)
    words = f"{caller} offers {_list(offered)}; {refuser} refused with {final.status}"
    if len(refusing) > 1:
        words += f", {len(refusing)} times, also with what this server added"
    words += f" and takes {_list(known)}" if known else " and did not say what it takes"
    warning = final.header("warning")
    return f"{words}{f' (Warning: {warning})' if warning else ''}."


def _codecs_of(story: Story, final: Seen) -> list[str]:
    """What the one who refused says elsewhere that it takes; best in the refusal itself (21.4.26)."""
    bodies = [final, *(each for each in story.seen if not each.is_sent and each.remote == final.remote)]
    sounds = [each.sound for each in bodies if each.is_sent is final.is_sent]
    return list(next((each.codecs for each in sounds if each is not None and each.codecs), ()))


def _list(codecs: list[str]) -> str:
    return ", ".join(codecs) if codecs else "no codec that is known"


def _refused_sound(story: Story) -> Iterator[Verdict]:
    final = story.first.final if story.first is not None else None
    sound = final.sound if final is not None else None
    if final is not None and sound is not None and sound.port == 0:
        assert story.first is not None
        offered = story.first.request.sound
        yield SOUND_REFUSED.verdict(
            f"The call was offered with {_list(list(offered.codecs) if offered else [])}; the answer took no"
            " sound.",
            [story.first.request.index, final.index],
        )


def _carrier_lost(story: Story) -> Iterator[Verdict]:
    for note in story.record.get("notes") or ():
        if "process that carried the sound was lost" in str(note.get("text")):
            yield CARRIER_LOST.verdict("The process that carried the sound ended, and another took over.")
            return
