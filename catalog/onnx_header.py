"""The inputs and outputs of an ONNX file from a stream, its weights skipped and never held.

ONNX is a protobuf message: fields of a number, a kind and a value. Only the graph's inputs (11) and
outputs (12) are read; see onnx.proto.
"""

from __future__ import annotations

from typing import BinaryIO

from catalog.errors import BadFile
from catalog.onnx_file import Tensor, tensor_of

_GRAPH, _INPUT, _OUTPUT = 7, 11, 12
_MAX_INFO = 1_000_000  # bytes of one tensor's description
_MAX_TENSORS = 1000
_CHUNK = 1 << 20
Header = tuple[dict[str, Tensor], dict[str, Tensor]]  # inputs, outputs by name


def read_header(file: BinaryIO) -> Header:
    """Inputs and outputs by name. Leaves the stream somewhere; it need not be seekable.

    Raises
    ------
    BadFile
        It is not ONNX.
    """
    stream = _Stream(file)
    while (field := stream.field()) is not None:
        number, size = field
        if number == _GRAPH:
            return _read_graph(stream, stream.place + size)
        stream.skip(size)
    raise BadFile("not a valid ONNX model: it has no graph")


def _read_graph(stream: _Stream, end: int) -> Header:
    from google.protobuf.message import DecodeError
    from onnx import ValueInfoProto

    found: dict[int, dict[str, Tensor]] = {_INPUT: {}, _OUTPUT: {}}
    while stream.place < end:
        if (field := stream.field()) is None:
            raise BadFile("not a valid ONNX model: it ends too early")
        number, size = field
        if number not in found:
            stream.skip(size)
            continue
        if size > _MAX_INFO or len(found[number]) >= _MAX_TENSORS:
            raise BadFile("not a valid ONNX model: its tensors are described at absurd length")
        info = ValueInfoProto()
        try:
            info.ParseFromString(stream.take(size))
            found[number][info.name] = tensor_of(info)
        except (DecodeError, ValueError) as exc:
            raise BadFile("not a valid ONNX model: a tensor's description is torn") from exc
    return found[_INPUT], found[_OUTPUT]


class _Stream:
    """Protobuf's wire format, read forward only."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.place = 0

    def field(self) -> tuple[int, int] | None:
        """(number, bytes of its value) of the next field; None at the end of the file."""
        first = self._file.read(1)
        if not first:
            return None
        self.place += 1
        key = self._varint(first[0])
        kind = key & 7
        if kind == 0:
            self._varint()
            return key >> 3, 0
        if kind not in (1, 2, 5):
            raise BadFile("not a valid ONNX model: not a protobuf message")
        return key >> 3, {1: 8, 5: 4}.get(kind) or self._varint()

    def take(self, size: int) -> bytes:
        data = self._file.read(size)
        self.place += len(data)
        if len(data) < size:
            raise BadFile("not a valid ONNX model: it ends too early")
        return data

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.take(min(size, _CHUNK)))

    def _varint(self, byte: int | None = None) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0] if byte is None else byte
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            byte = None
        raise BadFile("not a valid ONNX model: not a protobuf message")
