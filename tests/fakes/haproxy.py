"""HAProxy, the balancer that Debian brings, before some gateways: it asks /readyz, and repeats nothing by itself."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.absence import cannot_run
from tests.fakes.waiting import wait_until
from tests.stack import free_port, get

CONFIGURATION = """
defaults
    mode http
    retries 0
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend clinic
    bind 127.0.0.1:PORT
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk
    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host localhost
    http-check expect status 200
    http-request set-header Host localhost
    default-server check inter 200ms fall 2 rise 2
"""


@contextmanager
def haproxy(folder: Path, gateways: Sequence[str]) -> Iterator[str]:
    """The URL of a balancer before these addresses, once it finds one of them ready."""
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        cannot_run("gateways behind HAProxy", "install haproxy (Debian: apt-get install haproxy)")
    port, file = free_port(), folder / "haproxy.cfg"
    servers = [f"    server gateway{number} {address}\n" for number, address in enumerate(gateways)]
    file.write_text(CONFIGURATION.replace("PORT", str(port)) + "".join(servers), encoding="utf-8")
    with (folder / "haproxy.log").open("wb") as log:
        running = subprocess.Popen([program, "-db", "-f", str(file)], stdout=log, stderr=log)
    try:
        wait_until(lambda: get(f"http://127.0.0.1:{port}/readyz")[0] == 200)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.kill()
        running.wait(10)
