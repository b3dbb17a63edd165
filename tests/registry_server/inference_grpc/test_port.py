"""Which port `catalog serve` takes for gRPC."""

from __future__ import annotations

import socket
import sys

import pytest

from catalog.errors import CatalogError, MissingExtra
from registry_server.listen import port_for_grpc

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


def test_without_grpcio_http_is_served_and_a_line_says_so(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert port_for_grpc(HOST, 8000, None) is None
    assert capsys.readouterr().err == (
        "no gRPC: grpcio is not installed (pip install 'hep-model-catalog[serve]')\n"
    )
    with pytest.raises(MissingExtra):
        port_for_grpc(HOST, 8000, 8001)
