# SPDX-License-Identifier: Apache-2.0
"""Which words does SIP know? Methods, status codes with reason phrases, option tags (IANA's registries)."""

from dataclasses import dataclass
from typing import Final


class Method:
    """The registered methods. A method is a case-sensitive token (RFC 3261 7.1)."""

    INVITE: Final = "INVITE"
    ACK: Final = "ACK"
    BYE: Final = "BYE"
    CANCEL: Final = "CANCEL"
    REGISTER: Final = "REGISTER"
    OPTIONS: Final = "OPTIONS"
    MESSAGE: Final = "MESSAGE"
    INFO: Final = "INFO"
    UPDATE: Final = "UPDATE"
    PRACK: Final = "PRACK"
    REFER: Final = "REFER"
    SUBSCRIBE: Final = "SUBSCRIBE"
    NOTIFY: Final = "NOTIFY"
    PUBLISH: Final = "PUBLISH"


@dataclass(frozen=True, slots=True)
class MethodRow:
    """What the stack must know of a method."""

    name: str
    rfc: str
    creates_dialog: bool = False  # a 2xx to it may create a dialog (RFC 5057 3)
    refreshes_target: bool = False  # its Contact replaces the remote target (RFC 5057 5.2)


_ROWS = (
    MethodRow(Method.INVITE, "RFC 3261 13", creates_dialog=True, refreshes_target=True),
    MethodRow(Method.ACK, "RFC 3261 17.1.1.3"),
    MethodRow(Method.BYE, "RFC 3261 15"),
    MethodRow(Method.CANCEL, "RFC 3261 9"),
    MethodRow(Method.REGISTER, "RFC 3261 10"),
    MethodRow(Method.OPTIONS, "RFC 3261 11"),
    MethodRow(Method.MESSAGE, "RFC 3428"),
    MethodRow(Method.INFO, "RFC 6086"),
    MethodRow(Method.UPDATE, "RFC 3311", refreshes_target=True),
    MethodRow(Method.PRACK, "RFC 3262"),
    MethodRow(Method.REFER, "RFC 3515", creates_dialog=True, refreshes_target=True),
    MethodRow(Method.SUBSCRIBE, "RFC 6665", creates_dialog=True, refreshes_target=True),
    MethodRow(Method.NOTIFY, "RFC 6665", creates_dialog=True, refreshes_target=True),
    MethodRow(Method.PUBLISH, "RFC 3903"),
)

METHODS: dict[str, MethodRow] = {row.name: row for row in _ROWS}

REASON_PHRASES: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    425: "Bad Alert Message",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity-Info",
    437: "Unsupported Certificate",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}

_CLASS_PHRASES = {
    1: "Progress",
    2: "OK",
    3: "Redirected",
    4: "Request Failure",
    5: "Server Failure",
    6: "Global Failure",
}


def reason_phrase(status: int) -> str:
    """The usual phrase, or that of the class for a code nobody registered (RFC 3261 8.1.3.2)."""
    return REASON_PHRASES.get(status) or _CLASS_PHRASES.get(status // 100, "Unknown")


OPTION_TAGS: dict[str, str] = {
    "100rel": "RFC 3262",
    "199": "RFC 6228",
    "answermode": "RFC 5373",
    "early-session": "RFC 3959",
    "eventlist": "RFC 4662",
    "explicitsub": "RFC 7614",
    "from-change": "RFC 4916",
    "geolocation-http": "RFC 6442",
    "geolocation-sip": "RFC 6442",
    "gin": "RFC 6140",
    "gruu": "RFC 5627",
    "histinfo": "RFC 7044",
    "ice": "RFC 5768",
    "join": "RFC 3911",
    "multiple-refer": "RFC 5368",
    "norefersub": "RFC 4488",
    "nosub": "RFC 7614",
    "outbound": "RFC 5626",
    "path": "RFC 3327",
    "policy": "RFC 6794",
    "precondition": "RFC 3312",
    "pref": "RFC 3840",
    "privacy": "RFC 3323",
    "recipient-list-invite": "RFC 5366",
    "recipient-list-message": "RFC 5365",
    "recipient-list-subscribe": "RFC 5367",
    "record-aware": "RFC 7866",
    "replaces": "RFC 3891",
    "resource-priority": "RFC 4412",
    "sdp-anat": "RFC 4092",
    "sec-agree": "RFC 3329",
    "siprec": "RFC 7866",
    "tdialog": "RFC 4538",
    "timer": "RFC 4028",
    "trickle-ice": "RFC 8840",
    "uui": "RFC 7433",
}
