"""Where letters go: to a relay that is there, or to the sink of this machine, or nowhere."""

import asyncio
from collections.abc import Iterator, Mapping

from caremesh.config import Config
from caremesh.doctor.finding import Finding, note, well, wrong
from caremesh.mail.inbox import maildir
from caremesh.sink.maildir import Maildir
from caremesh.state import State
from caremesh.up.plan import RELAY, environments
from process.settings import SettingsError, load
from svc_prescriptions.mailbox import sender_of
from svc_prescriptions.relay import Patience, Relay, RelayAddressError, relay_address
from svc_prescriptions.relay.result import Lost
from svc_prescriptions.settings import PrescriptionsSettings

HASTY = Patience(connect=3, command=3, leave=1)  # seconds


def mail(config: Config, environ: Mapping[str, str], running: State | None) -> Iterator[Finding]:
    """Whether letters can leave."""
    try:
        settings = load(PrescriptionsSettings, environments(config, environ)["prescriptions"])
        inbox = maildir(config, environ)
    except SettingsError:
        return  # told among the settings
    sinks = [one.address for one in running.processes if one.kind == "mail-sink"] if running else []
    if not settings.mail_relay:
        why = f"{RELAY} is empty" if _named(config, environ) else "there is neither a sink nor a relay"
        yield note(
            "mail", f"letters wait: {why}", f"write [mail-sink] into {config.file}, or name a relay: docs/mail.md"
        )
    elif _named(config, environ):
        yield _relay(settings)
        relay = relay_address(settings.mail_relay)
        if f"{relay.host}:{relay.port}" not in sinks:
            yield from _unread(config, inbox)
    elif sinks:
        yield _sink(sinks[0], inbox)
    else:
        yield well("mail", f"letters go to the sink of this machine and to nobody; {len(inbox.letters())} are there")


def _named(config: Config, environ: Mapping[str, str]) -> bool:
    """Whether somebody has said where the relay is."""
    return any(name.removesuffix("_FILE") == RELAY for name in (*config.kinds["prescriptions"].environment, *environ))


def _relay(settings: PrescriptionsSettings) -> Finding:
    """Goes as far as a letter does before it is handed over: connection, TLS, login."""
    address = relay_address(settings.mail_relay)
    where = f"the relay {address.host}:{address.port}"
    remedy = f"mend {RELAY} or the relay; letters wait meanwhile"
    try:
        relay = Relay(address, sender_of(settings.mail_from).addr_spec, settings.mail_ca_file, HASTY)
        asyncio.run(_greet(relay))
    except RelayAddressError as error:
        return wrong("mail", f"CAREMESH_MAIL_CA_FILE: {error}", "mend it there")
    except Lost as lost:
        return wrong("mail", f"{where} takes no letters now: {lost.told}", remedy)
    return well("mail", f"{where} is there ({address.tls.value} TLS{', logged in' if address.user else ''})")


async def _greet(relay: Relay) -> None:
    session = await relay.session()
    await session.quit()


def _unread(config: Config, inbox: Maildir) -> Iterator[Finding]:
    """What lies or listens where nobody looks any more, once a relay is named."""
    if config.kinds["mail-sink"].count:
        yield note("mail-sink", "is started, and letters go to the relay", "set count = 0 under [mail-sink]")
    if letters := len(inbox.letters()):
        remedy = f"`caremesh mail inbox` shows them; remove {inbox.folder} when nobody needs them"
        yield note("inbox", f"{letters} letters are there that came before the relay, and went to nobody", remedy)


def _sink(address: str, inbox: Maildir) -> Finding:
    try:
        asyncio.run(_greet(Relay(relay_address(f"smtp://{address}"), "doctor@localhost", patience=HASTY)))
    except Lost as lost:
        remedy = "its lines in the output of `caremesh up` say why"
        return wrong("mail", f"the sink at {address} takes no letters: {lost.told}", remedy)
    return well("mail", f"letters go to the sink at {address} and to nobody; {len(inbox.letters())} are there")
