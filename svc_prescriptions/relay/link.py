"""A link to the relay: one connection for several letters, and what became of each of them."""

import asyncio
import ssl
from contextlib import suppress
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from svc_prescriptions.mailbox import transmitted
from svc_prescriptions.relay.address import RelayAddress, RelayAddressError, Tls
from svc_prescriptions.relay.result import DONE, Lost, Outcome, Result
from svc_prescriptions.relay.session import Patience, Session
from svc_prescriptions.relay.transfer import HandingOver, parcelled, transfer


class Relay:
    """A relay, as it can be spoken to.

    Args:
        address: where it is.
        sender: the address that letters come from, and that hears when they come back.
        authorities: a file with the certificates that the relay's must come from; empty for the machine's own.
        patience: how long to wait for it.

    Raises:
        RelayAddressError: the file holds no certificates.
    """

    def __init__(
        self, address: RelayAddress, sender: str, authorities: str = "", patience: Patience | None = None
    ) -> None:
        self._address, self._patience = address, patience or Patience()
        self._trust = _trust(address, authorities)
        self.sender = sender

    def link(self) -> "Link":
        return Link(self)

    async def session(self) -> Session:
        """A new connection, ready for letters. Raises Lost."""
        session = Session(self._address, self._trust, self._patience)
        await session.open()
        return session


class Link:
    """Sends letters one after the other; a connection that died is never used again. Entered, it is left in order."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._session: Session | None = None

    @property
    def alive(self) -> bool:
        """Whether there is a connection, over which the next letter may go."""
        return self._session is not None and self._session.alive

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session:
            with suppress(Lost):  # what was accepted stays accepted
                await self._session.quit()

    async def send(self, recipient: str, message: EmailMessage, handing_over: HandingOver) -> Result:
        """Sends a letter to one mailbox and says what became of it.

        Args:
            recipient: the mailbox.
            message: arrives as it is.
            handing_over: awaited once the relay has all but the final dot, without which a letter does not count.

        Raises:
            MailboxError: the recipient is no mailbox.
        """
        # In a thread: of a large letter it takes a second.
        parcel = await asyncio.to_thread(parcelled, self._relay.sender, transmitted(recipient), message)
        try:
            session = await self._ready()
        except Lost as lost:
            return Result(Outcome.RELAY_AWAY, lost.told)
        try:
            result = await transfer(session, parcel, handing_over)
        except Lost as lost:
            session.close()
            return Result(Outcome.LATER, lost.told)
        except BaseException:
            session.close()
            raise
        if result.outcome is Outcome.RELAY_AWAY:
            session.close()  # whoever refuses one sender's letters refuses the next one, too
        return result

    async def _ready(self) -> Session:
        """The connection that there is, if it still answers, or a new one."""
        if self._session and self._session.alive:
            with suppress(Lost):
                if (await self._session.ask("RSET", b"RSET")).kind == DONE:
                    return self._session
            self._session.close()
        self._session = await self._relay.session()
        return self._session


def _trust(address: RelayAddress, authorities: str) -> ssl.SSLContext:
    """How the relay's certificate is judged. Raises RelayAddressError where the file of authorities is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if address.tls in (Tls.OFFERED, Tls.NEVER):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not authorities:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(authorities)
    except OSError as error:  # an SSLError is one, too
        raise RelayAddressError(
            f"the file of its authorities cannot be used ({type(error).__name__}); name one with PEM certificates"
        ) from None
    return context
