"""Mail addresses: what is one, and how it travels."""

import re
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from email_validator import EmailNotValidError, validate_email

LONGEST, LONGEST_LOCAL = 254, 64  # octets; RFC 5321, 4.5.3.1 and erratum 1690
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MUST_BE_ONE = (
    "must be one mail address of a public domain, such as pharmacy@example.org: without a name, a list or a comment, "
    f"with at most {LONGEST_LOCAL} bytes before the @ and {LONGEST} in all"
)
SENDER_FORM = "CareMesh <prescriptions@clinic.example>"


class MailboxError(ValueError):
    """It is no address that a letter can go to, or come from; the text has the remedy and never the address."""


def transmitted(address: str) -> str:
    """An address as it travels: letters in their normal form, the domain in ASCII.

    What is not ASCII then is its part before the @, and only a relay that offers SMTPUTF8 (RFC 6531) takes it.

    Raises:
        MailboxError: it is not the address of one mailbox.
    """
    if len(address) > LONGEST:
        raise MailboxError(f"must have at most {LONGEST} characters")
    if CONTROLS.search(address):
        raise MailboxError("must not contain control characters")
    try:
        found = validate_email(address, check_deliverability=False, allow_quoted_local=True, strict=True)
    except (EmailNotValidError, UnicodeError):
        raise MailboxError(MUST_BE_ONE) from None
    if len(found.local_part.encode()) > LONGEST_LOCAL:
        raise MailboxError(MUST_BE_ONE)
    travels = f"{found.local_part}@{found.ascii_domain}"
    if "=?" in travels:  # readers of mail take it for an encoded word, and see another address (RFC 2047)
        raise MailboxError("must not contain =?")
    return travels


def sender_of(text: str) -> Address:
    """Who letters come from: `name@host`, or `A name <name@host>`.

    Raises:
        MailboxError: it is not one ASCII address with at most a name before it.
    """
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = text
        header = message["From"]
        (sender,) = header.addresses
    except (ValueError, MessageError, IndexError):
        raise MailboxError(f"write one address, such as {SENDER_FORM}") from None
    grouped = header.groups[0].display_name is not None
    if grouped or header.defects or not (sender.username and sender.domain and sender.addr_spec.isascii()):
        raise MailboxError(f"write one address in ASCII, such as {SENDER_FORM}")
    return Address(sender.display_name, sender.username, sender.domain)
