"""The Open Inference Protocol v2 over HTTP: bytes to arrays and back. Pure functions.

`read` is for gRPC too: the same request is refused with the same words.

A body is JSON, optionally followed by the raw bytes of tensors in the order the JSON names them;
the header `Inference-Header-Content-Length` then says where the JSON ends. Raw tensors are
little-endian and row-major. JSON has no word for NaN or infinity and no portable form of FP16:
both travel raw, and are refused in JSON with a sentence that says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from catalog.errors import UsageError
from registry_server.errors import TooLarge, Unsupported, quoted
from registry_server.rawdata import from_raw, to_raw
from registry_server.tensors import DTYPES, Array, Limits, datatype_of
from registry_server.textdata import from_json, to_json

Take = Callable[[dict[str, Any], str, tuple[int, ...], int, str], Array]
Part = bytes | memoryview
# Name, datatype, shape, and either the bytes that follow the JSON or the values.
_Described = tuple[str, str, tuple[int, ...], int | None, list[Any] | None]

_KEPT = 4096  # bytes of a JSON that may be kept
_KEPT_TEXTS = 512
_MAX_TENSORS = 256
_MAX_AXES = 16
_USE_BINARY = "ask for it in binary: parameters {'binary_data': true}"
_REQUEST_KEYS = {"id", "parameters", "inputs", "outputs"}
_INPUT_KEYS = {"name", "shape", "datatype", "parameters", "data"}
_OUTPUT_KEYS = {"name", "parameters"}
# Asked for and ignored, these would give wrong answers; every other parameter is a hint.
_UNSERVED = {"shared_memory_region", "classification"}


@dataclass(frozen=True)
class Request:
    """A decoded inference request. `outputs` maps the wanted names to "as raw bytes?".

    seconds : after which the client does not want an answer any more
    """

    id: str | None
    inputs: Mapping[str, Array]
    outputs: Mapping[str, bool]
    binary: bool  # for outputs that were not named
    seconds: float | None = None

    def is_binary(self, output: str) -> bool:
        """Whether this output was asked for as raw bytes."""
        return self.outputs.get(output, self.binary)


def decode(body: bytes | bytearray, header_length: str | None, limits: Limits) -> Request:
    """Decode the body of an inference request; `header_length` is the header's text, if any.

    Raises
    ------
    UsageError
        Naming what is wrong, what was expected and what was sent.
    """
    split = _split(body, header_length)
    whole = memoryview(body)
    text, raw = bytes(whole[:split]), whole[split:]
    # Requests of one client differ in what follows the JSON, seldom in the JSON.
    asked = (_read_again if raw and split <= _KEPT else _read)(text, limits)
    inputs, used = {}, 0
    for name, it in asked.inputs.items():
        if isinstance(it, _Raw):
            start, used = used, used + it.size
            if used > len(raw):
                raise UsageError(
                    f"{it.what}: binary_data_size is {it.size}, but {len(raw) - start} bytes are"
                    " left after the JSON",
                    "send Inference-Header-Content-Length and the whole tensor",
                )
            inputs[name] = from_raw(raw[start:used], it.datatype, it.shape, it.elements, it.what)
        else:
            inputs[name] = it
    if used != len(raw):
        raise UsageError(
            f"{len(raw)} bytes follow the JSON, but the inputs account for {used}",
            "give every raw input its binary_data_size",
        )
    return Request(asked.id, inputs, asked.outputs, asked.binary, asked.seconds)


def read(document: Any, limits: Limits, take: Take) -> Request:
    """Check a request that has the form of the protocol's JSON.

    take : gives the array of an entry of `inputs` from its datatype, shape, count and name in words

    Raises
    ------
    UsageError
    """
    document = _keys(document, "the request", _REQUEST_KEYS)
    identity = document.get("id")
    if identity is not None and not isinstance(identity, str):
        raise UsageError(f"'id' must be a string, got {_kind(identity)}")
    parameters = _parameters(document, "the request")
    binary = _flag(parameters, "binary_data_output", False)
    seconds = seconds_of(parameters.get("timeout"))
    inputs = _inputs(_tensors(document, "inputs"), limits, take)
    return Request(identity, inputs, _outputs(document, binary), binary, seconds)


def seconds_of(timeout: Any) -> float | None:
    """The parameter `timeout`, microseconds as Triton's clients send it; 0 is none.

    Raises
    ------
    UsageError
    """
    if timeout is None:
        return None
    if type(timeout) is not int or not 0 <= timeout < 1 << 62:
        raise UsageError("'timeout' must be a whole number of microseconds")
    return timeout * 1e-6 or None


def encode(
    head: str, request: Request, outputs: Mapping[str, Array], limits: Limits
) -> tuple[list[Part], int | None]:
    """Encode an answer: the parts of its body, and the length of its JSON if raw tensors follow it.

    head : the JSON object of the answer, without `id` and `outputs`
    """
    described: list[_Described] = []
    raws: list[Part] = []
    for name, array in outputs.items():
        size = data = None
        if request.is_binary(name):
            raws.append(to_raw(array))
            size = len(raws[-1])
        else:
            what = f"output {quoted(name)}"
            if array.size > limits.json_elements:
                raise TooLarge(
                    f"{what} has {array.size} elements, above the limit of"
                    f" {limits.json_elements} for JSON",
                    _USE_BINARY,
                )
            data = to_json(array, what, _USE_BINARY)
        described.append((name, datatype_of(array), array.shape, size, data))
    if len(raws) < len(described):
        text = _write(head, request.id, described)
    else:
        text = _write_again(head, request.id, tuple(described))
    return [text, *raws], len(text) if raws else None


def parse_json(text: bytes) -> Any:
    """Parse strict JSON: UTF-8, no NaN, no repeated key.

    Raises
    ------
    UsageError
    """
    try:
        return json.loads(
            text.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_unique
        )
    except UnicodeDecodeError as exc:
        raise UsageError(f"the JSON is not UTF-8: byte {exc.start} is not text") from exc
    except RecursionError as exc:
        raise UsageError("the JSON is nested too deeply") from exc
    except json.JSONDecodeError as exc:
        raise UsageError(
            f"the body is not JSON: {exc.msg} at character {exc.pos}",
            "if tensors follow the JSON, say where it ends in Inference-Header-Content-Length",
        ) from exc
    except ValueError as exc:  # an integer of more digits than Python reads
        raise UsageError("the JSON holds a number with too many digits") from exc


def _split(body: bytes | bytearray, header_length: str | None) -> int:
    if header_length is None:
        return len(body)
    digits = header_length.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise UsageError(
            f"Inference-Header-Content-Length must be a number, got {quoted(header_length)}"
        )
    length = int(digits)
    if not 0 < length <= len(body):
        raise UsageError(
            f"Inference-Header-Content-Length is {length}, but the body has {len(body)} bytes",
            "it is the length of the JSON at the start of the body",
        )
    return length


def _document(text: bytes, limits: Limits) -> Any:
    if len(text) > limits.json:
        raise TooLarge(
            f"{len(text)} bytes of JSON, above the limit of {limits.json}",
            "send tensors in binary (the client's binary_data=True)",
        )
    # Empty lists are the largest thing that three bytes of text can become.
    if text.count(b"[") + text.count(b"{") > limits.json_lists:
        raise TooLarge(
            f"the JSON has more than {limits.json_lists} lists and objects, the limit",
            "send 'data' flat or in binary",
        )
    return parse_json(text)


class _Raw(NamedTuple):
    """A tensor whose values are not in the JSON but follow it, in the order of the inputs."""

    size: int  # bytes
    datatype: str
    shape: tuple[int, ...]
    elements: int
    what: str


def _read(text: bytes, limits: Limits) -> Request:
    take: Any = _take  # a raw one stands for its array until the JSON is known to be right
    return read(_document(text, limits), limits, take)


_read_again = lru_cache(_KEPT_TEXTS)(_read)


def _take(
    entry: dict[str, Any], datatype: str, shape: tuple[int, ...], count: int, what: str
) -> Array | _Raw:
    size = _size(_parameters(entry, what), what)
    if (size is None) == ("data" not in entry):
        raise UsageError(
            f"{what}: expected either 'data' or the parameter 'binary_data_size', got "
            + ("neither" if size is None else "both")
        )
    if size is None:
        return from_json(entry["data"], datatype, shape, what)
    return _Raw(size, datatype, shape, count, what)


def _write(head: str, identity: str | None, described: Sequence[_Described]) -> bytes:
    """The JSON of an answer. ASCII, so that no text a client sent can fail to encode."""
    answer: dict[str, Any] = {} if identity is None else {"id": identity}
    answer["outputs"] = [
        {
            "name": name,
            "datatype": datatype,
            "shape": shape,
            **({"data": data} if size is None else {"parameters": {"binary_data_size": size}}),
        }
        for name, datatype, shape, size, data in described
    ]
    rest = json.dumps(answer, allow_nan=False, separators=(",", ":"))
    return f"{head[:-1]},{rest[1:]}".encode("ascii")


_write_again = lru_cache(_KEPT_TEXTS)(_write)


def _inputs(entries: Sequence[dict[str, Any]], limits: Limits, take: Take) -> dict[str, Array]:
    inputs: dict[str, Array] = {}
    for entry in entries:
        name = entry["name"]
        what = f"input {quoted(name)}"
        if name in inputs:
            raise UsageError(f"{what} is there twice", "send every input once")
        datatype = entry.get("datatype")
        if not isinstance(datatype, str) or datatype not in DTYPES:
            got = quoted(datatype) if isinstance(datatype, str) else _kind(datatype)
            raise UsageError(f"{what}: expected a datatype of {', '.join(DTYPES)}, got {got}")
        shape, count = _shape(entry.get("shape"), what, limits)
        _parameters(entry, what)
        inputs[name] = take(entry, datatype, shape, count, what)
    return inputs


def _outputs(document: dict[str, Any], binary: bool) -> dict[str, bool]:
    if document.get("outputs") in (None, []):
        return {}
    wanted: dict[str, bool] = {}
    for entry in _tensors(document, "outputs"):
        name = entry["name"]
        what = f"output {quoted(name)}"
        if name in wanted:
            raise UsageError(f"{what} is there twice", "ask for every output once")
        wanted[name] = _flag(_parameters(entry, what), "binary_data", binary)
    return wanted


def _tensors(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = document.get(key)
    if not isinstance(entries, list) or not 0 < len(entries) <= _MAX_TENSORS:
        got = f"{len(entries)} of them" if isinstance(entries, list) else _kind(entries)
        raise UsageError(f"{key!r} must be a list of 1 to {_MAX_TENSORS} tensors, got {got}")
    known = _INPUT_KEYS if key == "inputs" else _OUTPUT_KEYS
    for i, entry in enumerate(entries):
        _keys(entry, f"{key}[{i}]", known)
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            raise UsageError(f"{key}[{i}] must have a 'name', got {_kind(name)}")
    return entries


def _shape(value: Any, what: str, limits: Limits) -> tuple[tuple[int, ...], int]:
    if not isinstance(value, list) or len(value) > _MAX_AXES:
        raise UsageError(
            f"{what}: 'shape' must be a list of at most {_MAX_AXES} sizes, got {_kind(value)}"
        )
    count = 1
    for i, size in enumerate(value):
        # bool is an int to Python, not to JSON.
        if type(size) is not int or size < 1:
            got = size if type(size) is int and size > -(1 << 63) else _kind(size)
            raise UsageError(f"{what}: axis {i} of 'shape' must be a whole number > 0, got {got}")
        # Python integers do not overflow; stopping early keeps them small.
        count *= size
        if count > limits.elements:
            raise TooLarge(
                f"{what}: 'shape' has more than {limits.elements} elements, the limit",
                "send several requests with fewer rows each",
            )
    return tuple(value), count


def _size(parameters: dict[str, Any], what: str) -> int | None:
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise UsageError(f"{what}: binary_data_size must be a number of at least 0")
    return size


def _parameters(owner: dict[str, Any], what: str) -> dict[str, Any]:
    parameters = owner.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise UsageError(f"{what}: 'parameters' must be an object, got {_kind(parameters)}")
    unserved = sorted(_UNSERVED & parameters.keys())
    if unserved:
        raise Unsupported(f"{what}: this server does not have the extension of {unserved[0]!r}")
    return parameters


def _flag(parameters: dict[str, Any], key: str, default: bool) -> bool:
    value = parameters.get(key, default)
    if not isinstance(value, bool):
        raise UsageError(f"{key!r} must be true or false, got {_kind(value)}")
    return value


def _keys(value: Any, what: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{what} must be a JSON object, got {_kind(value)}")
    # A misspelt 'outputs' would otherwise be answered, with something else than was asked.
    for key in value:
        if key not in known:
            keys = ", ".join(sorted(known))
            raise UsageError(f"{what} has an unknown key {quoted(key)}", f"known keys: {keys}")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")


def _no_constant(name: str) -> Any:
    raise UsageError(f"{name} is not JSON", "send NaN and infinity in binary tensors")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UsageError("the JSON has the same key twice in one object")
    return found
