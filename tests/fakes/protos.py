"""The .proto files as descriptors, read anew from their text.

`python -m tests.fakes.protos` adds what is new in them to the snapshot of what was promised; it removes nothing.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet

TESTS = Path(__file__).parent.parent
PROTOS, SNAPSHOT = TESTS.parent / "protos", TESTS / "contract" / "protos.txt"


def sources() -> list[str]:
    return sorted(path.name for path in PROTOS.glob("*.proto"))


def protoc(*arguments: str) -> None:
    """Runs the compiler of grpcio-tools on all .proto files of the house."""
    include = [f"-I{PROTOS}", f"-I{files('grpc_tools').joinpath('_proto')}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *include, *arguments, *sources()]
    subprocess.run(command, check=True, capture_output=True)


def described() -> FileDescriptorSet:
    with tempfile.NamedTemporaryFile(suffix=".pb") as file:
        protoc(f"--descriptor_set_out={file.name}")
        return FileDescriptorSet.FromString(Path(file.name).read_bytes())


def methods() -> list[str]:
    """Every method as its path, /package.Service/Method."""
    return [
        f"/{file.package}.{service.name}/{method.name}"
        for file in described().file
        for service in file.service
        for method in service.method
    ]


def words() -> list[str]:
    """What must never change: a line for each field, enumeration value and method, sorted."""
    return sorted(_words())


def _words() -> Iterator[str]:
    for file in described().file:
        for message in file.message_type:
            yield from _message(f"{file.package}.{message.name}", message)
        for enum in file.enum_type:
            yield from _enum(f"{file.package}.{enum.name}", enum)
        for service in file.service:
            for method in service.method:
                takes, gives = _streamed(method.input_type, method.client_streaming), method.output_type
                gives = _streamed(gives, method.server_streaming)
                yield f"rpc {file.package}.{service.name}/{method.name} ({takes}) returns ({gives})"


def _message(name: str, message: DescriptorProto) -> Iterator[str]:
    for field in message.field:
        yield f"field {name}.{field.name} = {field.number} {_label(field)} {_type(field)}"
    for nested in message.nested_type:
        yield from _message(f"{name}.{nested.name}", nested)
    for enum in message.enum_type:
        yield from _enum(f"{name}.{enum.name}", enum)


def _enum(name: str, enum: EnumDescriptorProto) -> Iterator[str]:
    for value in enum.value:
        yield f"value {name}.{value.name} = {value.number}"


def _label(field: FieldDescriptorProto) -> str:
    if field.proto3_optional:
        return "optional"
    return "repeated" if field.label == field.LABEL_REPEATED else "plain"


def _type(field: FieldDescriptorProto) -> str:
    return str(field.type_name) or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _streamed(kind: str, stream: bool) -> str:  # noqa: FBT001  # as the descriptor says it
    return f"stream {kind}" if stream else kind


def promised() -> set[str]:
    """The snapshot's lines."""
    return set(SNAPSHOT.read_text().splitlines())


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(sorted(promised() | set(words()))) + "\n")
