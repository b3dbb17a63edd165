"""Taking tensors out of a message changes nothing else of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw import Infer

from catalog.errors import UsageError
from registry_server.errors import TooLarge
from registry_server.inference_grpc.wire import field, split

RAW = 7


@given(
    st.text(max_size=20),
    st.lists(st.binary(max_size=300), max_size=5),
    st.lists(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False), max_size=3),
)
def test_what_is_left_is_the_message_without_its_tensors(name, raws, shapes, parameters) -> None:
    message = Infer(
        model_name=name,
        inputs=[{"shape": shape} for shape in shapes],
        parameters={key: {"double_param": value} for key, value in parameters.items()},
    )
    for at in range(len(raws) + 1):  # the order of fields on the wire is free
        parts = field(RAW, raws)
        whole = b"".join([*parts[: 3 * at], message.SerializeToString(), *parts[3 * at :]])
        rest, found = split(whole, RAW)
        assert [bytes(it) for it in found] == raws
        assert Infer.FromString(rest) == message
        assert list(Infer.FromString(whole).raw_input_contents) == raws


@given(st.binary(max_size=80))
def test_it_accepts_and_finds_what_protobuf_does(data: bytes) -> None:
    """What we let pass that protobuf does not, protobuf refuses afterwards."""
    try:
        expected = Infer.FromString(data)
    except Exception:
        return
    try:
        rest, found = split(data, RAW)
    except UsageError:  # groups, which no message of ours has
        assert any(byte & 7 in (3, 4) for byte in data)
        return
    assert [bytes(it) for it in found] == list(expected.raw_input_contents)
    expected.ClearField("raw_input_contents")
    assert Infer.FromString(rest) == expected


@pytest.mark.parametrize(
    "data",
    [b"\x3a", b"\x3a\x05abc", b"\x80" * 11, b"\x3a\xff\xff\xff\xff\x0f", b"\x09abc", b"\x07"],
)
def test_what_is_cut_or_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="no protobuf message"):
        split(data, RAW)


def test_a_message_of_countless_fields_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge, match="more than 4096 fields"):
        split(b"\x2a\x00" * 5000, RAW)
