"""Tells what became of letters, lets a person decide about one, and reads the inbox of this machine's sink.

A letter is waiting, sending, sent, failed (it did not arrive), uncertain (it may have arrived) or withdrawn (it was
overtaken before it left); docs/mail.md tells more. Letters of the inbox went to nobody: a sink only keeps them.
"""

import argparse
import json
import os
import sys
import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from caremesh import config
from caremesh.config import Config
from caremesh.endings import INTERRUPTED, Refused
from caremesh.mail import deliveries, inbox
from caremesh.mail.deliveries import COLOURS
from caremesh.terminal import complain, harmless, say
from process.settings import SettingsError

STATES = ("waiting", "sending", "sent", "failed", "uncertain", "withdrawn")

Do = Callable[[argparse.Namespace, Config], None]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "--config", type=Path, default=Path(config.DEFAULT_FILE), metavar="FILE", help="(default: %(default)s)"
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    one = _command(commands, "list", "what waits since when, how many are in which state, and those that need somebody")
    one.add_argument("--state", choices=STATES, help="only these (without: all that have not ended well)")
    one.add_argument("--prescription", metavar="ID", type=_number, help="only those of this prescription, in any state")
    one.add_argument("--all", action="store_true", help="every one of them, and not only the oldest 200")
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(do=_list)
    one = _command(commands, "show", "all that is known of one")
    one.add_argument("id", metavar="ID", type=_number)
    one.set_defaults(do=_show)
    one = _command(commands, "replay", "send one now that failed, or that waits for its time")
    one.add_argument("id", metavar="ID", type=_number)
    one.add_argument("--again", action="store_true", help="though it may have arrived: it may be there twice then")
    one.set_defaults(do=_replay)
    one = _command(commands, "settle", "say what became of an uncertain one")
    one.add_argument("id", metavar="ID", type=_number)
    one.add_argument("how", choices=("sent", "resend"), help="it has arrived; or it is to be sent again")
    one.set_defaults(do=_settle)
    _configure_inbox(_command(commands, "inbox", "what arrived at the sink of this machine"))


def _configure_inbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help=f"not only the newest {inbox.SHOWN}")
    parser.set_defaults(do=_inbox)
    commands = parser.add_subparsers(metavar="COMMAND")
    one = _command(commands, "list", "the newest letters, the newest last; also without COMMAND")
    one.add_argument("--all", action="store_true", default=argparse.SUPPRESS, help="all of them")
    one.set_defaults(do=_inbox)
    for name, told, do in (
        ("show", "the text of one", _read),
        ("open", "one as a mail program shows it, in a browser", _open),
    ):
        one = _command(commands, name, told)
        one.add_argument("number", metavar="N", type=_number, help="as the list numbers it")
        one.set_defaults(do=do)


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, told: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=told, description=f"{told[0].upper()}{told[1:]}.")
    # Given before or after a COMMAND, and never overwritten by the default of what follows.
    parser.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE", help=argparse.SUPPRESS)
    return parser


def _number(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text[:11]) < 2**31:
        return int(text)
    raise argparse.ArgumentTypeError("must be a number as the list shows it")


def run(arguments: argparse.Namespace) -> int:
    """Does it; returns the exit code."""
    try:
        arguments.do(arguments, config.read(arguments.config))
    except (config.ConfigError, SettingsError) as error:
        complain(str(error))
        return 2
    except BrokenPipeError:  # whoever read it has seen enough (`| head`); what is left is flushed there at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Refused as error:
        complain(f"mail: {error}")
        return 1
    except OSError as error:
        complain(f"mail: {error.filename or 'a file'}: {error.strerror}; check its name, its permissions, its disk")
        return 1
    except KeyboardInterrupt:
        complain("mail: interrupted")
        return INTERRUPTED
    return 0


def _asked(settings: Config, *arguments: str) -> Any:
    from caremesh.mail.service import ask  # not at the top: the inbox needs none of it, and it takes a second

    return ask(settings, os.environ, *arguments)


def _list(arguments: argparse.Namespace, settings: Config) -> None:
    filters = [str(one) for one in (arguments.state, arguments.prescription) if one]
    told = _asked(settings, "list", *(["--all"] if arguments.all else []), *filters)
    if arguments.json:
        say(json.dumps(told, indent=1))
        return
    _tell(deliveries.overview(told, deliveries.utc_now()))
    if table := deliveries.listed(told):
        say("")
        head, *rows = table
        say(head, "bold")
        for one, row in zip(told["deliveries"], rows, strict=True):
            say(row, COLOURS.get(one["state"], ""))
        say("")
        say(deliveries.hint(told), "dim")
    elif filters:
        of = f" of prescription {arguments.prescription}" if arguments.prescription else ""
        say(f"no {f'{arguments.state} ' if arguments.state else ''}letter{of}")


def _show(arguments: argparse.Namespace, settings: Config) -> None:
    one = _asked(settings, "show", str(arguments.id))
    say(f"delivery {one['delivery_id']}", "bold")
    _tell(deliveries.whole(one))


def _replay(arguments: argparse.Namespace, settings: Config) -> None:
    again = ["--again"] if arguments.again else []
    one = _asked(settings, "replay", *again, str(arguments.id))
    say(f"mail: delivery {one['delivery_id']} is {one['state']}, and is due at once", "green")


def _settle(arguments: argparse.Namespace, settings: Config) -> None:
    one = _asked(settings, "settle", str(arguments.id), arguments.how)
    then = ", and is due at once" if arguments.how == "resend" else ""
    say(f"mail: delivery {one['delivery_id']} is {one['state']}{then}", "green")


def _inbox(arguments: argparse.Namespace, settings: Config) -> None:
    place = inbox.maildir(settings, os.environ)
    letters = place.letters()
    if not letters:
        say(f"no letter has come to {place.folder} yet")
        return
    older = 0 if arguments.all else max(0, len(letters) - inbox.SHOWN)
    head, *rows = inbox.listed(letters, len(letters) - older)
    say(harmless(head), "bold")
    _tell(rows)
    say("")
    hidden = f"; --all lists the {older:,} before them" if older else ""
    say(f"`caremesh mail inbox show {len(letters)}` reads the last one{hidden}", "dim")


def _read(arguments: argparse.Namespace, settings: Config) -> None:
    _tell(inbox.text(inbox.chosen(inbox.maildir(settings, os.environ).letters(), arguments.number)))


def _open(arguments: argparse.Namespace, settings: Config) -> None:
    page = inbox.page(inbox.chosen(inbox.maildir(settings, os.environ).letters(), arguments.number))
    say(str(page))
    if sys.stdout.isatty():
        if not webbrowser.open(page.as_uri()):
            say("no browser was found here; open that file with yours")
        say("remove the file when you have read it: it names a patient", "dim")


def _tell(lines: Iterable[str]) -> None:
    for line in lines:
        say(harmless(line))
