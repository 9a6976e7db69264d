"""docs/settings.md, made from the settings classes: `python -m tests.fakes.settings_page` writes it."""

from pathlib import Path

from caremesh.registry.settings import RegistrySettings
from caremesh.sink.settings import SinkSettings
from gateway.settings import GatewaySettings
from process.settings import Settings, table
from svc_prescriptions.settings import PrescriptionsSettings
from svc_records.settings import RecordsSettings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"
PROCESSES: dict[str, type[Settings]] = {
    "gateway": GatewaySettings,
    "svc_records": RecordsSettings,
    "svc_prescriptions": PrescriptionsSettings,
    "caremesh.registry": RegistrySettings,
    "caremesh.sink": SinkSettings,
}
HEAD = """\
# Settings

Each process reads its settings from the environment, once, at start. What is wrong is named all at once, with its
remedy, and the process ends with exit code 2. Each variable `X` may also be given as `X_FILE`, the path of a file that
holds the value, for secrets.

`make run` starts the processes that [`caremesh.toml`](../caremesh.toml) names; settings stand there under
`[KIND.environment]`, and the environment of `caremesh up` wins over them.
"""


def page() -> str:
    parts = [f"## `python -m {name}`\n\n{table(settings)}\n" for name, settings in PROCESSES.items()]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
