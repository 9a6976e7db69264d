"""Where a relay is and how it is spoken to: one address."""

import ipaddress
import re
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

FORM = "smtp://user:password@host:587"
SUBMISSION, SUBMISSIONS = 587, 465  # RFC 6409, RFC 8314
HOST = re.compile(r"[A-Za-z0-9.:_-]+")
ESCAPED = "write characters such as / ? # @ % in a password as %2F %3F %23 %40 %25"


class RelayAddressError(ValueError):
    """The relay's address cannot be used; the text has the remedy and never a password."""


class Tls(Enum):
    """When the connection becomes a secret one.

    AT_ONCE and REQUIRED hold the relay's certificate against its name. OFFERED does not: whoever could show a wrong one
    could as well take the offer away (RFC 7435).
    """

    AT_ONCE = "at once"
    REQUIRED = "required"
    OFFERED = "offered"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """A relay; `user` is empty where it asks for no login."""

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = field(default="", repr=False)


def relay_address(text: str) -> RelayAddress:
    """What an address names.

    `smtp://` begins in the open and turns to TLS by STARTTLS: `?starttls=required` (the default where there is a login,
    or the relay is on another machine), `offered` or `never`. `smtps://` is TLS from the first byte.

    Raises:
        RelayAddressError: it cannot be used.
    """
    url, port = _split(text)
    if url.scheme not in ("smtp", "smtps"):
        raise RelayAddressError(f"it must begin with smtp:// or smtps://; write {FORM}")
    if not url.hostname or not HOST.fullmatch(url.hostname):
        raise RelayAddressError(f"it must name a host in ASCII; write {FORM}")
    if url.path not in ("", "/") or url.fragment:
        raise RelayAddressError(f"nothing but options may follow the host; write {FORM}, and {ESCAPED}")
    user, password = unquote(url.username or ""), unquote(url.password or "")
    if bool(user) != bool(password) or "\0" in user + password:
        raise RelayAddressError(f"a login is a user and a password; write {FORM}, or smtp://host:25 for none")
    tls = _tls(url, needed=bool(user) or not _loopback(url.hostname))
    if user and tls in (Tls.NEVER, Tls.OFFERED) and not _loopback(url.hostname):
        raise RelayAddressError("the password would travel in the open; leave out ?starttls=… or write smtps://")
    return RelayAddress(url.hostname, port or _usual(url), tls, user, password)


def _split(text: str) -> tuple[SplitResult, int | None]:
    if not text.isprintable() or " " in text:  # urlsplit would leave some of them out without a word
        raise RelayAddressError(f"it holds a blank or a control character; write {FORM}, and %20 for a blank")
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise RelayAddressError(f"it cannot be read; write {FORM}, and {ESCAPED}") from None
    return url, port


def _usual(url: SplitResult) -> int:
    return SUBMISSIONS if url.scheme == "smtps" else SUBMISSION


def _tls(url: SplitResult, *, needed: bool) -> Tls:
    options = parse_qsl(url.query, keep_blank_values=True)
    if url.scheme == "smtps":
        if options:
            raise RelayAddressError("smtps:// has no options; leave out what follows the ?")
        return Tls.AT_ONCE
    match options:
        case []:
            return Tls.REQUIRED if needed else Tls.OFFERED
        case [("starttls", ("required" | "offered" | "never") as wanted)]:
            return Tls(wanted)
    raise RelayAddressError("its one option is ?starttls=required, offered or never; leave out the others")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
