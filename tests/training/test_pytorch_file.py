"""PyTorch's files, which anybody may have made: read without PyTorch; nothing in them is executed."""

import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from kd_bench.training.pytorch_file import read_state_dict

FILES = Path(__file__).parent / "pytorch"
"""Made by PyTorch 2.14: the same checkpoint in the format since 1.6 and before, and a whole module."""
PICKLED = "zip/data.pkl"


@pytest.fixture
def altered(tmp_path):
    """Replaces a part of a sound archive; returns the new file."""

    def replace(name, content, compression=zipfile.ZIP_STORED):
        path = tmp_path / "altered.pth"
        with zipfile.ZipFile(FILES / "zip.pth") as old, zipfile.ZipFile(path, "w", compression) as new:
            for member in old.namelist():
                new.writestr(member, content(old.read(member)) if member == name else old.read(member))
        return path

    return replace


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_checkpoint_of_either_format_is_read(form):
    # A dictionary of `epoch`, `best`, `model` and `optimizer`; each name begins with `module.`.
    found = read_state_dict(FILES / f"{form}.pth")
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    assert list(found) == [*(f"{name}.weight" for name in ("part", "whole")), *NAMES_OF_BIASES, COUNTER]
    np.testing.assert_array_equal(found["part.weight"], whole[1:3].T)  # a view of the same storage
    np.testing.assert_array_equal(found["whole.weight"], whole)
    np.testing.assert_array_equal(found["half.bias"], [0.5, -2])  # float16
    np.testing.assert_array_equal(found["bf.bias"], [1.5, -3])  # bfloat16
    np.testing.assert_array_equal(found["double.bias"], np.float32([0.1]))
    assert {name: tensor.dtype for name, tensor in found.items()} == {
        name: np.int64 if name == COUNTER else np.float32 for name in found
    }
    assert found[COUNTER] == 7


NAMES_OF_BIASES = ["half.bias", "bf.bias", "double.bias"]
COUNTER = "bn.num_batches_tracked"


def test_safetensors_are_read_without_a_wrapper(tmp_path):
    safetensors.numpy.save_file({"module.a": np.float16([1, 2])}, tmp_path / "some.safetensors")
    found = read_state_dict(tmp_path / "some.safetensors")
    assert (list(found), found["a"].dtype, found["a"].tolist()) == (["a"], np.float32, [1, 2])


class Malicious:
    """Runs a command when it is unpickled by Python's own unpickler."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return exec, (f"open({str(self.place)!r}, 'w').close()",)


@pytest.mark.parametrize("wrapped", [lambda evil: evil, lambda evil: {"model": {"weight": evil}}, lambda evil: [evil]])
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_malicious_file_executes_nothing(form, wrapped, tmp_path, altered):
    place = tmp_path / "executed"
    evil = pickle.dumps(wrapped(Malicious(place)), protocol=2)
    pickle.loads(evil)
    place.unlink()  # it is malicious indeed
    if form == "zip":
        path = altered(PICKLED, lambda _: evil)
    else:
        path = tmp_path / "evil.pth"
        path.write_bytes(LEGACY_START + evil)
    with pytest.raises(ValueError, match=r"builtin.*\.exec, which is no tensor and is not executed"):
        read_state_dict(path)
    assert not place.exists()


LEGACY_START = b"".join(
    pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
)


@pytest.mark.parametrize(
    "reached",
    [
        b"cos\nsystem\n.",
        b"ctorch\nload\n.",
        b"ctorch._utils\n_rebuild_tensor\n.",
        b"ccollections\nOrderedDict.update\n.",
        b"\x80\x04\x8c\x0bcollections\x8c\x10OrderedDict.clear\x93.",
        b"i__builtin__\neval\n.",
    ],
)
def test_no_other_global_is_found(reached, altered):
    with pytest.raises(ValueError, match=r"is no tensor and is not executed|cannot be read") as refused:
        read_state_dict(altered(PICKLED, lambda _: reached))
    assert "\n" not in str(refused.value)


ALTERING = [
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x04\x00\x00\x00readK\x01sb.",  # sets an attribute of a function
    b"\x80\x02ccollections\nOrderedDict\n}X\x05\x00\x00\x00clearK\x01sb.",
]


@pytest.mark.parametrize("content", ALTERING)
def test_what_stands_for_pytorchs_functions_stays_as_it_is(content, altered):
    with pytest.raises(ValueError, match="cannot be read"):
        read_state_dict(altered(PICKLED, lambda _: content))
    assert len(read_state_dict(FILES / "zip.pth")) == 6


def test_a_whole_module_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"torch\.nn\.modules\.linear\.Linear, which .*; save the state dict alone"):
        read_state_dict(FILES / "module.pth")


def larger(content):
    """Changes the first shape, (6, 2), to (6, 200)."""
    assert content.count(b"K\x06K\x02\x86") == 1
    return content.replace(b"K\x06K\x02\x86", b"K\x06K\xc8\x86")


def further(content):
    """Lets the first tensor begin at item 20 of 24."""
    return content.replace(b"K\x06K\x06K\x02\x86", b"K\x14K\x06K\x02\x86")


def negative(content):
    return content.replace(b"K\x06K\x06K\x02\x86", b"J\xff\xff\xff\xffK\x06K\x02\x86")


def spread(content):
    """Lets its rows be 200 items apart."""
    return content.replace(b"K\x01K\x06\x86", b"K\x01K\xc8\x86")


@pytest.mark.parametrize("change", [larger, further, negative, spread])
def test_a_tensor_reaches_no_memory_but_its_storage(change, altered):
    path = altered(PICKLED, change)
    assert zipfile.ZipFile(path).read(PICKLED) != zipfile.ZipFile(FILES / "zip.pth").read(PICKLED)
    with pytest.raises(ValueError, match=r"a tensor (has more items than|reaches beyond) its storage"):
        read_state_dict(path)


def test_a_pickle_that_wants_only_memory_is_refused(altered):
    content = b"\x80\x02}r" + struct.pack("<I", 2**31) + b"."
    with pytest.raises(ValueError, match="remembers more than it holds"):
        read_state_dict(altered(PICKLED, lambda _: content))


def test_a_compressed_archive_is_refused(altered):
    with pytest.raises(ValueError, match="its archive is compressed"):
        read_state_dict(altered(PICKLED, bytes, zipfile.ZIP_DEFLATED))


def test_big_endian_numbers_are_refused(altered):
    with pytest.raises(ValueError, match="big-endian"):
        read_state_dict(altered("zip/byteorder", lambda _: b"big"))


@pytest.mark.parametrize("saved", [{}, [], 3, {"model": {}}, {"model": {"a": 1}}, OrderedDict(a=1), None])
def test_what_has_no_state_dict_is_refused(saved, altered):
    with pytest.raises(ValueError, match="it has no state dict, neither itself nor as 'model' or 'state_dict'"):
        read_state_dict(altered(PICKLED, lambda _: pickle.dumps(saved, protocol=2)))


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_a_file_that_is_cut_short_is_refused_in_one_line(form, tmp_path):
    content, path = (FILES / f"{form}.pth").read_bytes(), tmp_path / "cut.pth"
    for length in range(0, len(content) - 8, 61):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"^cannot be read as PyTorch's or safetensors' file \(.+\)$"):
            read_state_dict(path)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_what_is_no_such_file_is_refused(suffix, tmp_path):
    (tmp_path / f"text.{suffix}").write_text("text")
    with pytest.raises(ValueError, match=r"^cannot be read as PyTorch's"):
        read_state_dict(tmp_path / f"text.{suffix}")
