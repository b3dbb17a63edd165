"""Header blocks: what the cache gives is what a decoder without one gives."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st
from peer import header

from registry_server.http2.frames import Broken, BrokenStream, Code
from registry_server.http2.headers import MOST_LIST, Heads, block, check_request

FIELD = st.tuples(
    st.sampled_from(["te", "grpc-timeout", "authorization", "x"]),
    st.sampled_from(["a", "trailers", "1S", "b" * 200, "c" * 3000]),
)


@given(st.lists(st.tuples(st.lists(FIELD, max_size=4), st.sampled_from([None, 0, 200, 4096]))))
def test_the_cache_never_gives_an_old_meaning(requests) -> None:
    encoder, plain = Encoder(), Decoder()
    heads = Heads(lambda fields: fields)
    for more, size in requests:
        if size is not None:
            encoder.header_table_size = size
        data = encoder.encode(header("/a", *more))
        expected = [tuple(it) for it in plain.decode(data, raw=True)]
        assert heads.request(data) == expected


def test_a_header_that_repeats_is_read_once() -> None:
    seen = []
    heads = Heads(lambda fields: seen.append(fields) or len(seen))
    encoder = Encoder()
    blocks = [encoder.encode(header("/a", ("x", "y"))) for _ in range(5)]
    assert [heads.request(it) for it in blocks] == [1, 2, 2, 2, 2]  # the first filled the table


def test_what_is_remembered_is_bounded() -> None:
    heads = Heads(lambda fields: fields)
    for i in range(1000):
        heads.request(
            block([(name.encode(), f"{value}{i}".encode()) for name, value in header("/")])
        )
    assert len(heads._known) <= 64


@given(st.binary(max_size=60))
def test_any_bytes_are_a_header_or_a_refusal(data: bytes) -> None:
    heads = Heads(lambda fields: fields)
    try:
        heads.request(data)
    except BrokenStream:
        pass
    except Broken as exc:
        assert exc.code is Code.COMPRESSION_ERROR


def test_a_small_block_cannot_become_a_large_header() -> None:
    encoder = Encoder()
    encoder.encode([("x", "y" * 3000)])
    bomb = Encoder().encode([("x", "y" * 3000)]) + b"\xbe" * 1000
    with pytest.raises(Broken) as caught:
        Heads(len).request(bomb)
    assert caught.value.code is Code.COMPRESSION_ERROR
    assert str(MOST_LIST) in caught.value.why


GOOD = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/")]
BAD = {
    "no path": GOOD[:2],
    "two paths": [*GOOD, (b":path", b"/b")],
    "a pseudo field of answers": [*GOOD, (b":status", b"200")],
    "a pseudo field that is none": [*GOOD, (b":x", b"y")],
    "a pseudo field after others": [*GOOD[:2], (b"x", b"y"), GOOD[2]],
    "an upper-case name": [*GOOD, (b"X", b"y")],
    "an empty name": [*GOOD, (b"", b"y")],
    "a field of HTTP/1.1": [*GOOD, (b"connection", b"close")],
    "a coding of HTTP/1.1": [*GOOD, (b"transfer-encoding", b"chunked")],
    "a line break": [*GOOD, (b"x", b"a\r\nb: c")],
    "a zero byte": [*GOOD, (b"x", b"a\0")],
    "a space around": [*GOOD, (b"x", b" a")],
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_request_is_refused(case: str) -> None:
    with pytest.raises(BrokenStream) as caught:
        check_request(BAD[case])
    assert caught.value.code is Code.PROTOCOL_ERROR
    check_request([*GOOD, (b"te", b"trailers"), (b"x", b"")])


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=400))))
def test_blocks_are_read_as_they_were_written(fields) -> None:
    assert [tuple(it) for it in Decoder().decode(block(fields), raw=True)] == fields
