"""The generated code is what `make protos` makes of the .proto files: nobody edited it, nobody forgot it."""

from pathlib import Path

import pytest

from protos import generate

ROOT = Path(__file__).parent.parent.parent


def held(tree: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    generate.main(root)
    return root


@pytest.mark.parametrize("tree", sorted(generate.TREES))
def test_the_committed_code_is_what_the_compiler_makes(made: Path, tree: str) -> None:
    fresh, committed = held(made / tree), held(ROOT / tree)
    assert sorted(fresh) == sorted(committed), "run: make protos"
    assert [file for file in fresh if fresh[file] != committed[file]] == [], "run: make protos"


def test_every_proto_file_is_compiled() -> None:
    """A file that no tree names would be promised to clients and served by nobody."""
    named = [source for sources in generate.TREES.values() for source in sources]
    assert sorted(named) == sorted(path.name for path in (ROOT / "protos").glob("*.proto"))
