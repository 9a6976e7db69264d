"""Exim, the relay that Debian brings, in a folder of its own: TLS, a login, and a mailbox in a file."""

import mailbox
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from tests.fakes.absence import cannot_run
from tests.fakes.certificate import Certificate, certificate
from tests.fakes.waiting import wait_until
from tests.stack import free_port

REMEDY = "install exim4-daemon-light (Debian: apt-get install exim4-daemon-light) and run the tests as root"
OWNER = "Debian-exim"  # built into Debian's exim
DOMAIN = "pharmacy.example"
USER, PASSWORD, LOGIN = "clinic", "p@ss/word%", "clinic:p%40ss%2Fword%25"
PLAIN = """
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{USER}}{eq{$auth3}{PASSWORD}}}}
  server_set_id = $auth2
"""
ASKED = """
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{USER}}{eq{$auth2}{PASSWORD}}}}
  server_set_id = $auth1
"""
CONFIGURATION = """
primary_hostname = relay.example
keep_environment =
spool_directory = FOLDER/spool
log_file_path = FOLDER/%slog
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
tls_advertise_hosts = *
tls_certificate = FOLDER/certificate.pem
tls_privatekey = FOLDER/key.pem
auth_advertise_hosts = ${if def:tls_in_cipher{*}}
smtputf8_advertise_hosts = *
acl_smtp_rcpt = recipients
deliver_drop_privilege = true

begin acl
recipients:
  require authenticated = *
  accept domains = DOMAIN
  deny message = not here

begin routers
here:
  driver = accept
  transport = file

begin transports
file:
  driver = appendfile
  file = FOLDER/mailbox
  user = OWNER

begin authenticators
"""


@dataclass(frozen=True)
class Exim:
    """A running one. `address` names it with its login."""

    folder: Path
    port: int
    certificate: Certificate

    @property
    def address(self) -> str:
        return f"smtp://{LOGIN}@127.0.0.1:{self.port}"

    @property
    def told(self) -> str:
        """What it has logged."""
        logs = sorted(self.folder.glob("*log"))
        return "".join(log.read_text(encoding="utf-8", errors="replace") for log in logs)

    def letters(self) -> list[EmailMessage]:
        """What lies in the mailbox."""
        with closing(mailbox.mbox(self.folder / "mailbox")) as box:
            found = [message_from_bytes(box.get_bytes(key), policy=default) for key in box.iterkeys()]
        return [one for one in found if isinstance(one, EmailMessage)]

    def arrived(self, count: int) -> list[EmailMessage]:
        """The letters, once there are so many."""
        try:
            wait_until(lambda: self.told.count("Completed") >= count)
        except TimeoutError:
            raise TimeoutError(self.told) from None
        return self.letters()


@contextmanager
def exim(authenticators: str = PLAIN + ASKED) -> Iterator[Exim]:
    """One that takes mail for DOMAIN from whoever logs in; skips the test where there is none."""
    program = shutil.which("exim4", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if not program or os.geteuid() != 0:
        cannot_run("a letter through a real relay", REMEDY)
    with tempfile.TemporaryDirectory(prefix="exim-") as made:
        folder, port = Path(made), free_port()
        running = Exim(folder, port, certificate(folder))
        (folder / "exim.conf").write_text(_configured(CONFIGURATION + authenticators, folder, port), encoding="utf-8")
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, OWNER)
        (folder / "exim.conf").chmod(0o644)
        shutil.chown(folder / "exim.conf", "root")
        command = [program, "-C", str(folder / "exim.conf"), "-bdf", "-oP", str(folder / "pid")]
        with (folder / "out").open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        try:
            wait_until(lambda: "listening for SMTP" in running.told or process.poll() is not None)
            assert process.poll() is None, running.told + (folder / "out").read_text()
            yield running
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with those of its children that serve a connection
            process.wait(10)


def _configured(text: str, folder: Path, port: int) -> str:
    names = {"FOLDER": str(folder), "PORT": str(port), "DOMAIN": DOMAIN, "OWNER": OWNER}
    for name, value in {**names, "USER": USER, "PASSWORD": PASSWORD}.items():
        text = text.replace(name, value)
    return text
