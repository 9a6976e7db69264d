"""From caremesh.toml to what is started: one Spec a process, its port reserved, its environment complete."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex

from caremesh.config import KINDS, OWNED, Config, Kind
from caremesh.up.ports import HOST, Ports

DATABASES = ("records", "prescriptions")
"""The kinds that have one."""
RELAY = "CAREMESH_MAIL_RELAY"
MAIL = "mail"  # the folder of the sink's letters, beside the databases
# One value for all processes would be wrong for all but one.
_PER_KIND = ("CAREMESH_DATABASE", "CAREMESH_ADVERTISE")


@dataclass(frozen=True)
class Spec:
    """A process to keep running."""

    name: str
    kind: str
    command: tuple[str, ...]
    port: int
    control_port: int
    environment: Mapping[str, str]

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{HOST}:{self.port}"

    @property
    def control(self) -> str:
        """Where its control port listens."""
        return f"{HOST}:{self.control_port}"


@dataclass(frozen=True)
class Plan:
    """All of them in the order of starting, what is worth saying before, and the token of their control ports."""

    specs: tuple[Spec, ...]
    notes: tuple[str, ...]
    token: str

    @property
    def environments(self) -> dict[str, Mapping[str, str]]:
        """The environment that the first process of each kind is started with."""
        return {spec.kind: spec.environment for spec in reversed(self.specs)}

    @property
    def sink(self) -> str:
        """The address of the sink that letters go to; "" where there is none, or where they go elsewhere."""
        given = self.environments["prescriptions"].get(RELAY, "").removeprefix("smtp://")
        return next((spec.address for spec in self.specs if spec.kind == "mail-sink" and spec.address == given), "")

    @property
    def gateway(self) -> str:
        """The URL of the first gateway."""
        return next(f"http://{spec.address}" for spec in self.specs if spec.kind == "gateway")


def plan(config: Config, ports: Ports, environ: Mapping[str, str]) -> Plan:
    """Reserves a port for each process and says what it will be started with.

    Raises:
        OSError: when no port is left.
    """
    notes = [f"{name} of the environment is not handed on: {_instead(name)}" for name in _withheld(environ)]
    taken = {name: list(_take(kind, ports, notes)) for name, kind in config.kinds.items()}
    inherited = {name: value for name, value in environ.items() if name not in _withheld(environ)}
    given, token = _given(config, taken), token_hex(16)
    inherited["CAREMESH_CONTROL_TOKEN"] = token
    specs = [
        _spec(config.kinds[name], number, (port, ports.take(0, [])), inherited, given[name])
        for name in KINDS
        for number, port in enumerate(taken[name], start=1)
    ]
    return Plan(tuple(specs), tuple(notes), token)


def environments(config: Config, environ: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """The environment that `caremesh up` would give each kind."""
    ports = Ports()
    try:
        return plan(config, ports, environ).environments
    finally:
        ports.close()


def _take(kind: Kind, ports: Ports, notes: list[str]) -> Iterator[int]:
    wanted = kind.port
    for number in range(1, kind.count + 1):
        found: list[str] = []
        port = ports.take(wanted, found)
        notes += [f"{note}: {kind.name}.{number} listens on {port}" for note in found]
        yield port
        wanted = port + 1 if kind.port else 0


def _withheld(environ: Mapping[str, str]) -> list[str]:
    names = (*OWNED, *_PER_KIND)
    return sorted(name for name in environ if name.removesuffix("_FILE") in names)


def _instead(name: str) -> str:
    plain = name.removesuffix("_FILE")
    remedy = OWNED.get(plain, "[KIND.environment]")
    return f"in caremesh.toml use {remedy}"


def _given(config: Config, taken: Mapping[str, Sequence[int]]) -> dict[str, dict[str, str]]:
    """What each kind is told unless the file or the environment says otherwise."""
    registries = ",".join(f"{HOST}:{port}" for port in taken["registry"])
    given = {name: {"PYTHONUNBUFFERED": "1"} for name in KINDS}
    for name in DATABASES:
        given[name]["CAREMESH_DATABASE"] = f"sqlite:///{config.data / name}.db"
    for name in (*DATABASES, "gateway"):
        given[name]["CAREMESH_REGISTRIES"] = registries
    given["gateway"]["CAREMESH_GATEWAYS"] = str(len(taken["gateway"]))
    given["mail-sink"]["CAREMESH_MAIL_FOLDER"] = str(config.data / MAIL)
    if config.policy:
        for name in (*DATABASES, "gateway"):
            given[name]["CAREMESH_POLICY"] = str(config.policy)
    if taken["mail-sink"]:
        given["prescriptions"][RELAY] = f"smtp://{HOST}:{taken['mail-sink'][0]}"
    return given


def _spec(
    kind: Kind, number: int, ports: tuple[int, int], inherited: Mapping[str, str], given: Mapping[str, str]
) -> Spec:
    name, (port, control) = f"{kind.name}.{number}", ports
    environment = _over(_over(given, kind.environment), inherited)  # the environment wins over the file
    environment |= {"CAREMESH_PORT": str(port), "CAREMESH_HOST": HOST, "CAREMESH_PROCESS": name}
    environment["CAREMESH_CONTROL_PORT"] = str(control)
    return Spec(name, kind.name, (sys.executable, "-m", KINDS[kind.name]), port, control, environment)


def _over(under: Mapping[str, str], layer: Mapping[str, str]) -> dict[str, str]:
    """Both, the layer winning; X and X_FILE are one setting."""
    set_above = {name.removesuffix("_FILE") for name in layer if name.startswith("CAREMESH_")}
    return {name: value for name, value in under.items() if name.removesuffix("_FILE") not in set_above} | dict(layer)
