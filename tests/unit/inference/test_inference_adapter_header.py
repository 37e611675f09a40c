"""Headers of safetensors files, hostile ones among them; the reference library is asked for its opinion of each."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from sluice_inference.adapter_agent.checking import safetensors_header
from sluice_inference.adapter_agent.checking.safetensors_header import NotSafetensors
from support import lora

WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "F8_E4M3": 1}


def built(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: list[Any], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def by_library(path: Path) -> dict[str, tuple[int, ...]]:
    with safe_open(path, framework="numpy") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118


names = st.text(min_size=1, max_size=20).filter(lambda name: name != "__metadata__")
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@settings(max_examples=60)
@given(
    st.dictionaries(names, shapes, max_size=6),
    st.sampled_from(sorted(WIDTHS)),
    st.binary(max_size=4),
    st.data(),
)
def test_what_the_library_reads_is_read_and_what_it_refuses_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    tensors: dict[str, tuple[int, ...]],
    dtype: str,
    more: bytes,
    data: st.DataObject,
) -> None:
    content = lora.safetensors(tensors, dtype=dtype, width=WIDTHS[dtype]) + more
    cut = data.draw(st.integers(0, 3))
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(content[: len(content) - cut] if cut else content)

    try:
        expected = by_library(path)
    except SafetensorError:
        with pytest.raises(NotSafetensors):
            safetensors_header.read(path)
    else:
        found = safetensors_header.read(path)
        assert {name: each.shape for name, each in found.items()} == expected
        assert {each.dtype for each in found.values()} <= {dtype}


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_such_file_are_refused_and_nothing_else_is_raised(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "none.safetensors"
    path.write_bytes(content)
    try:
        by_library(path)
    except SafetensorError:
        with pytest.raises(NotSafetensors):
            safetensors_header.read(path)


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["dtype", "shape", "data_offsets", "x", "__metadata__"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_header_or_refused(found: Any) -> None:
    try:
        safetensors_header.parse(json.dumps(found).encode(), 0)
    except NotSafetensors:
        return
    assert isinstance(found, dict)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "ends before"),
        (b"\x80\x04\x95pickle", "ends before"),
        (built(b"{}", length=1 << 40), "ends before"),
        (built(b"[" * 40), "no JSON object"),
        (built(b'{"a":' * 5000), "cannot be read"),
        (built(b'{"a": 1, "a": 1}'), "twice"),
        (built(b'{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,4]}}', b"1234"), "twice"),
        (built({"a": tensor([1], 0, 8)}, b"12345678"), "does not fit"),
        (built({"a": tensor([1], 4, 8)}, b"12345678"), "gap"),
        (built({"a": tensor([1], 0, 4), "b": tensor([1], 0, 4)}, b"1234"), "overlap"),
        (built({"a": tensor([1], 0, 4)}, b"123"), "3 bytes"),
        (built({"a": tensor([1], 0, 4)}, b"12345"), "5 bytes"),
        (built({"a": tensor([-1], 0, 4)}, b"1234"), "no shape"),
        (built({"a": tensor([True], 0, 4)}, b"1234"), "no shape"),
        (built({"a": tensor([1 << 64], 0, 4)}, b"1234"), "no shape"),
        (built({"a": tensor([1], 4, 0)}, b"1234"), "does not fit"),
        (built({"a": tensor([1], 0, 4, "OBJECT")}, b"1234"), "dtype"),
        (built({"a": [1]}), "no tensor"),
        (built({"__metadata__": {"a": 1}}), "__metadata__"),
    ],
)
def test_a_hostile_header_is_refused_and_says_why(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(NotSafetensors, match=why):
        safetensors_header.read(path)


def test_a_header_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 1 << 33))
        file.truncate(1 << 34)  # sparse: it takes no room
    with pytest.raises(NotSafetensors, match="are the most"):
        safetensors_header.read(path)
