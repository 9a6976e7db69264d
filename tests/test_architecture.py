"""The house's rules that a reader cannot see in one file: who imports whom, who reads what, what runs when."""

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from observability.logs import HOUSE

ROOT = Path(__file__).parent.parent
GENERATED = ("mesh/wire", "protos/generated")

# Dependencies point one way. A whole room is named by its name, a part of it by its module.
MAY_IMPORT = {
    "mesh": set[str](),
    "benchmarks": {"mesh", "protos"},  # from outside, by gRPC
    "process": set[str](),
    "storage": set[str](),
    "protos": {"mesh.errors"},  # the codec says in the mesh's words that it cannot read something
    "observability": {"mesh.events", "process.control"},
    "gateway": {"mesh", "observability", "process", "protos"},
    "hosting": {"mesh", "observability", "process", "protos", "storage"},
    "svc_records": {"hosting", "mesh", "observability", "process", "protos", "storage"},
    "svc_prescriptions": {"hosting", "mesh", "observability", "process", "protos", "storage"},
    "caremesh": {
        "gateway",
        "hosting",
        "mesh",
        "observability",
        "process",
        "protos",
        "storage",
        "svc_prescriptions",
        "svc_records",
    },
}

# Besides settings modules, the room `process`, and `load(…, os.environ)`.
MAY_READ_ENVIRONMENT = {
    "caremesh/terminal.py": "NO_COLOR and TERM belong to the terminal, not to the settings",
    "caremesh/up/command.py": "the supervisor hands its environment on to the processes it starts",
    "caremesh/backups/command.py": "copies the databases of the settings that processes would get",
    "caremesh/mail/command.py": "asks the service of the settings that its processes would get",
    "caremesh/doctor/command.py": "doctor looks at the settings that processes would get",
    "hosting/service.py": "hands its environment on to the child that migrates",
    "protos/generate.py": "the compiler's plugin looks for ruff on the PATH",
}


def rooms() -> set[str]:
    return {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}


def sources(room: str) -> list[Path]:
    """A room's own modules, without generated ones."""
    found = sorted((ROOT / room).rglob("*.py"))
    return [path for path in found if not str(path.relative_to(ROOT)).startswith(GENERATED)]


def everything() -> list[Path]:
    return [path for room in sorted(rooms()) for path in sources(room)]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Each imported module by its full name; `from a import b` as a.b, since b may be a module."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_room_has_its_line_in_the_table() -> None:
    assert rooms() == set(MAY_IMPORT)


def test_the_log_filter_knows_every_room() -> None:
    """A room that is missing there would be taken for a library, and its lines be hidden."""
    assert rooms() == HOUSE


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    wrong = [
        f"{name(path)} imports {module}"
        for path in sources(room)
        for module in imported(path)
        if module.partition(".")[0] in {*rooms(), "tests"} and not within(module, allowed)
    ]
    assert wrong == []


def test_dependencies_make_no_circle() -> None:
    below = {room: {module.partition(".")[0] for module in allowed} for room, allowed in MAY_IMPORT.items()}
    while free := [room for room, needs in below.items() if not needs]:
        below = {room: needs - set(free) for room, needs in below.items() if room not in free}
    assert below == {}


def test_only_transport_and_server_touch_grpclib() -> None:
    """Elsewhere only its types of codecs are known, so that another transport could take grpclib's place."""
    allowed = ("mesh/transport", "mesh/server", "mesh/testing/", "mesh/details.py", "benchmarks/")
    wrong = [
        f"{name(path)} imports {module}"
        for path in everything()
        for module in imported(path)
        if within(module, {"grpclib"}) and not within(module, {"grpclib.encoding"})
        if not name(path).startswith(allowed)
    ]
    assert wrong == []


def test_time_and_chance_are_parameters_in_the_mesh() -> None:
    """Tests turn the clock by hand. Only the classes of random numbers may be named, as types and defaults."""
    forbidden = {"time", "random", "asyncio.sleep", "secrets.randbelow", "os.urandom"}
    harmless = {"random.Random", "random.SystemRandom"}
    wrong = [
        f"{name(path)} uses {module}"
        for path in sources("mesh")
        if name(path) != "mesh/clock.py" and not name(path).startswith("mesh/testing/")
        for module in [*imported(path), *dotted(path)]
        if within(module, forbidden) and module not in harmless
    ]
    assert wrong == []


def dotted(path: Path) -> Iterator[str]:
    """Each `a.b` in a module's code."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_only_settings_and_the_room_process_read_the_environment() -> None:
    wrong = [
        f"{name(path)}:{line}"
        for path in everything()
        if path.name != "settings.py" and not name(path).startswith("process/")
        if name(path) not in MAY_READ_ENVIRONMENT
        for line in environment_reads(tree(path))
    ]
    assert wrong == []


def test_every_exception_for_the_environment_is_still_needed() -> None:
    assert [file for file in MAY_READ_ENVIRONMENT if not list(environment_reads(tree(ROOT / file)))] == []


def environment_reads(module: ast.Module) -> Iterator[int]:
    """Lines that touch the environment other than by handing it to `process.settings.load`."""
    handed = {
        argument
        for call in ast.walk(module)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "load"
        for argument in call.args
    }
    for node in ast.walk(module):
        named = isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}
        bound = isinstance(node, ast.ImportFrom) and node.module == "os" and "environ" in {n.name for n in node.names}
        if isinstance(node, (ast.Attribute, ast.ImportFrom)) and (named or bound) and node not in handed:
            yield node.lineno


WATCH_IMPORTS = """
import importlib, json, sys, threading
seen = []
WATCHED = {"socket.bind", "socket.connect", "subprocess.Popen", "os.system", "sqlite3.connect", "os.putenv",
           "os.mkdir", "os.remove", "os.rename", "os.fork", "signal.signal"}
def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if event in WATCHED or writes and "__pycache__" not in str(args[0]) and "/dev/null" not in str(args[0]):
        seen.append(f"{module}: {event} {args!r:.80}")
sys.addaudithook(watch)
sys.dont_write_bytecode = True
for module in json.loads(sys.argv[1]):
    importlib.import_module(module)
seen += [f"a thread {thread.name}" for thread in threading.enumerate() if thread is not threading.main_thread()]
print(json.dumps(seen))
"""


def test_nothing_runs_at_import() -> None:
    """Importing every module opens no file for writing, no socket, no database, no process and no thread."""
    modules = [
        name(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in everything()
        if "migrations" not in path.parts  # Alembic runs these; they are scripts
    ]
    done = subprocess.run(
        [sys.executable, "-c", WATCH_IMPORTS, json.dumps(modules)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_no_module_keeps_an_app_an_engine_or_a_client() -> None:
    """What has a state is made by a wiring function and handed on."""
    stateful = {
        "Quart",
        "Events",
        "Health",
        "Server",
        "ServiceClient",
        "SystemClock",
        "create_async_engine",
        "create_engine",
        "ClientSession",
        "TracerProvider",
        "Lock",
        "Event",
        "Queue",
    }
    wrong = [
        f"{name(path)}:{call.lineno}"
        for path in everything()
        for statement in tree(path).body
        if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.Expr))
        for call in ast.walk(statement)
        if isinstance(call, ast.Call)
        if (call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")) in stateful
    ]
    assert wrong == []


def test_generated_code_is_left_alone_by_the_linters() -> None:
    """It is never edited, so nobody could mend what they find."""
    command = [sys.executable, "-m", "ruff", "check", "--show-files", "."]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    looked_at = {str(Path(line).relative_to(ROOT)) for line in shown.splitlines()}
    assert "mesh/events.py" in looked_at
    assert [file for file in looked_at if file.startswith(GENERATED)] == []
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert set(GENERATED) <= set(config["exclude"])
