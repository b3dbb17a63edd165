"""Our form of the protocol is everybody's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tritonclient.grpc import service_pb2

from registry_server.inference_grpc import messages
from registry_server.inference_grpc.messages import CLASSES, COMPILED


def test_the_compiled_file_is_the_proto_file_compiled(tmp_path: Path) -> None:
    found = tmp_path / "found.binpb"
    program = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--descriptor_set_out={found}"]
    subprocess.run([*program, "inference.proto"], cwd=COMPILED.parent, check=True)
    assert found.read_bytes() == COMPILED.read_bytes()


def fields(descriptor) -> dict[str, tuple]:
    return {
        it.name: (
            it.number,
            it.type,
            it.is_repeated,
            it.message_type.full_name if it.message_type else "",
            it.containing_oneof.name if it.containing_oneof else "",
        )
        for it in descriptor.fields
    }


def all_messages(descriptors) -> dict:
    found = {}
    for it in descriptors:
        found[it.full_name] = it
        found |= all_messages(it.nested_types)
    return found


def test_every_field_has_the_number_and_the_type_that_tritons_client_has() -> None:
    ours = all_messages(cls.DESCRIPTOR for cls in CLASSES.values())
    theirs = service_pb2.DESCRIPTOR
    for name, message in ours.items():
        other = fields(theirs.pool.FindMessageTypeByName(name))
        assert fields(message).items() <= other.items(), name


def test_every_method_is_one_of_tritons_with_its_messages() -> None:
    ours = messages._pool.FindServiceByName(messages.SERVICE)
    theirs = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for it in ours.methods:
        other = theirs[it.name]
        assert it.input_type.full_name == other.input_type.full_name
        assert it.output_type.full_name == other.output_type.full_name
        assert it.client_streaming == other.client_streaming


@pytest.mark.parametrize("first", ["tritonclient.grpc", "registry_server.inference_grpc.messages"])
def test_a_process_may_hold_us_and_tritons_client(first: str) -> None:
    both = ["tritonclient.grpc", "registry_server.inference_grpc.messages"]
    both.sort(key=first.__ne__)
    program = "\n".join(f"import {name}" for name in both)
    subprocess.run([sys.executable, "-c", program], check=True)
