"""The messages of `inference.proto`, in a pool of their own.

In protobuf's common pool a process could not also import tritonclient.grpc, which registers the
same names there with a newer or older form of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from catalog.errors import UsageError

COMPILED = Path(__file__).with_name("inference.binpb")
SERVICE = "inference.GRPCInferenceService"

_pool = DescriptorPool()
for _file in FileDescriptorSet.FromString(COMPILED.read_bytes()).file:
    _pool.Add(_file)
# By name: ModelInferRequest, ModelInferResponse ...
CLASSES: Mapping[str, Any] = {
    name: GetMessageClass(found)
    for name, found in _pool.FindFileContainingSymbol(SERVICE).message_types_by_name.items()
}


def read(name: str, data: bytes) -> Any:
    """Read a message.

    Raises
    ------
    UsageError
    """
    try:
        return CLASSES[name].FromString(data)
    except DecodeError as exc:
        raise UsageError(f"the bytes sent are no {name}", "check the client's .proto file") from exc


def write(name: str, content: Mapping[str, Any]) -> bytes:
    """Write a message from a dictionary; what the message has no field for is left out."""
    data: bytes = ParseDict(
        content, CLASSES[name](), ignore_unknown_fields=True
    ).SerializeToString()
    return data
