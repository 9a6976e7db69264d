"""The clinic's own policy table."""

from pathlib import Path

import pytest

from gateway.policies import SERVICES, policies
from gateway.settings import GatewaySettings
from mesh.policy import Policy
from mesh.policy.table import warnings
from mesh.wire.levels import LEVELS as OF_THE_MESH
from process.settings import SettingsError, load
from protos.generated.levels import LEVELS
from tests.fakes.protos import methods

FILE = Path(__file__).parents[3] / "policy.toml"


def test_every_method_of_every_proto_has_its_policy() -> None:
    """A method without one is repeated by hope. The mesh's own, probes and leases, are asked each second anyway."""
    found = policies(str(FILE))
    named = {f"/{SERVICES[service]}/{name}" for service, each in found.items() for name in each.methods}
    assert named == set(LEVELS)
    assert set(methods()) == named | set(OF_THE_MESH)
    assert "IDEMPOTENCY_UNKNOWN" not in OF_THE_MESH.values()


def test_nothing_in_it_is_warned_of() -> None:
    """Whoever reads a warning at each start reads none."""
    assert warnings(policies(str(FILE))) == []


def test_what_it_says_of_the_mesh_is_what_the_mesh_does_without_it() -> None:
    """Its comments say so, and figures in two places drift apart."""
    for policy in policies(str(FILE)).values():
        bare = {field: getattr(policy, field) for field in Policy.__dataclass_fields__ if field != "methods"}
        assert bare == {field: getattr(Policy(), field) for field in bare}


def test_every_write_may_be_made_again_with_its_key_and_only_so() -> None:
    """A patient's double dose is a write that was made again by hope."""
    for policy in policies(str(FILE)).values():
        writes = [each for each in policy.methods.values() if not each.safe]
        assert len(writes) == 3
        assert all(each.repeatable({"idempotency-key": "k"}) and not each.repeatable({}) for each in writes)


def test_a_wrong_table_is_a_wrong_setting(tmp_path: Path) -> None:
    """`caremesh up` refuses it before anything starts, and `caremesh doctor` names it, as any other setting."""
    wrong = tmp_path / "policy.toml"
    text = FILE.read_text(encoding="utf-8")
    wrong.write_text(
        text.replace("share = 0.2 ", "share = 20 ").replace("[prescriptions.retry]", "[prescriptions.rety]")
    )
    with pytest.raises(SettingsError) as caught:
        load(GatewaySettings, {"CAREMESH_POLICY": str(wrong)})
    told = str(caught.value)
    assert (
        f"CAREMESH_POLICY: {wrong}: [records.budget] share: must be a number from 0 to 1; write e.g. share = 0.2"
        in told
    )
    assert f"\n  {wrong}: [prescriptions] rety: no such entry; did you mean retry?" in told


def test_without_a_file_the_mesh_takes_its_defaults() -> None:
    """A gateway alone needs none."""
    assert policies("") == {"records": Policy(), "prescriptions": Policy()}
