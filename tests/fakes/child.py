"""A process for the supervisor to keep: says that it is up, and ends as it is told.

Arguments: one of `plain` (says which signal ends it, or ends when its parent is gone), `stubborn` (ignores signals),
`dies` (exit code 3), `refuses` (exit code 2), `long` (prints one line of 200,000 characters, then as plain),
`family` (starts a process of its own and says its pid, then as plain).
"""

import os
import signal
import subprocess
import sys
import threading

ENDING = {signal.SIGTERM, signal.SIGUSR1}


def _orphan() -> None:
    while os.read(int(os.environ["CAREMESH_PARENT_FD"]), 1):
        pass
    os._exit(1)


def main(kind: str) -> int:
    """Runs until it is ended."""
    sys.stdout.write(f"up {os.getpid()}\n")
    if kind in ("dies", "refuses"):
        return 3 if kind == "dies" else 2
    if kind == "long":
        sys.stdout.write("x" * 200_000 + "\n")
    if kind == "family":
        own = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
        sys.stdout.write(f"started {own.pid}\n")
    sys.stdout.flush()
    threading.Thread(target=_orphan, daemon=True).start()
    if kind == "stubborn":
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)
        signal.pause()
    sys.stdout.write(f"ends by {signal.Signals(signal.sigwait(ENDING)).name}\n")
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING if sys.argv[1] != "stubborn" else ())
    sys.exit(main(sys.argv[1]))
