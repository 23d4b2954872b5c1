"""Which precision `auto` is."""

import pytest

from kd_bench.training import hardware


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ("processor: 0\nflags\t\t: fpu avx512f avx512_bf16\n", "mixed_bfloat16"),
        ("processor: 0\nflags\t\t: fpu amx_bf16 amx_tile\n", "mixed_bfloat16"),
        ("processor: 0\nflags\t\t: fpu avx2 avx512f\n", "float32"),
        ("processor: 0\n", "float32"),
    ],
)
def test_a_cpu_with_bfloat16_uses_it(facts, expected, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text(facts)
    monkeypatch.setattr(hardware, "_CPUINFO", path)
    assert hardware.resolve_precision("auto") == expected
    assert hardware.resolve_precision("float32") == "float32"


def test_a_cpu_of_which_nothing_is_known_uses_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "_CPUINFO", tmp_path / "missing")
    assert hardware.resolve_precision("auto") == "float32"
