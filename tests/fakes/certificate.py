"""A certificate of the tests' own for this machine's loopback."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.fakes.absence import cannot_run


@dataclass(frozen=True)
class Certificate:
    """Files in PEM: the certificate, which is its own authority, and its key."""

    file: Path
    key: Path

    @property
    def server(self) -> ssl.SSLContext:
        """For a server to show."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> Certificate:
    """Makes one; skips the test where openssl is missing."""
    program = shutil.which("openssl")
    if not program:
        cannot_run("mail over TLS", "install openssl")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    where = ["-addext", f"subjectAltName={names}", "-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run([program, *new.split(), *where], check=True, capture_output=True)
    return made
