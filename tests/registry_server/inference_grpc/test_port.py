"""Which port `catalog serve` takes for gRPC."""

from __future__ import annotations

import asyncio
import socket
import sys
from types import SimpleNamespace

import pytest

from catalog.errors import CatalogError, MissingExtra
from registry_server.inference_grpc.calls import Calls
from registry_server.inference_grpc.gate import Gate
from registry_server.inference_grpc.listen import listening
from registry_server.listen import port_for_grpc
from registry_server.tensors import Limits

HOST = "127.0.0.1"


def free() -> int:
    """A port that is free, and the one after it too."""
    while True:
        with socket.create_server((HOST, 0)) as one:
            port = one.getsockname()[1]
            try:
                socket.create_server((HOST, port + 1)).close()
            except (OSError, OverflowError):
                continue
            return port


def test_it_is_the_one_after_https_unless_it_is_named() -> None:
    port = free()
    assert port_for_grpc(HOST, port, None) == port + 1
    assert port_for_grpc(HOST, 8000, port) == port
    assert port_for_grpc(HOST, 0, None) == port_for_grpc(HOST, 65535, None) == 0


def test_a_port_in_use_is_an_error_before_any_model_is_loaded() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CatalogError) as caught:
            port_for_grpc(HOST, 8000, port)
    assert f"{HOST} port {port}" in caught.value.message
    assert "--grpc-port" in caught.value.hint


@pytest.mark.parametrize(
    ("module", "package"), [("hpack", "hpack"), ("google.protobuf", "protobuf")]
)
def test_without_its_packages_http_is_served_and_a_line_says_so(
    monkeypatch, capsys, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert port_for_grpc(HOST, 8000, None) is None
    assert capsys.readouterr().err == (
        f"no gRPC: {package} is not installed (pip install 'hep-model-catalog[serve]')\n"
    )
    with pytest.raises(MissingExtra):
        port_for_grpc(HOST, 8000, 8001)


@pytest.mark.parametrize("wanted", [0, None])
def test_every_ipv4_address_is_not_every_ipv6_address_too(wanted: int | None) -> None:
    port = free() if wanted is None else wanted

    async def work() -> None:
        calls = Calls(SimpleNamespace(limits=Limits()), None, Gate())  # type: ignore[arg-type]
        async with listening(calls, "0.0.0.0", port, None) as address:
            taken = int(address.rpartition(":")[2])
            assert port in (0, taken)
            socket.create_connection((HOST, taken), timeout=20).close()
            with pytest.raises(OSError):
                socket.create_connection(("::1", taken), timeout=20)

    asyncio.run(work())
