import pytest

from kd_bench.results.readme import MarkerError, block_names, marker, update_blocks

START, END = marker("start", ""), marker("end", "")
README = f"# Title\n\n{START}\nold\n{END}\n\nThe rest.\n"
TWO = "<!-- results:start a -->\n1\n<!-- results:end a -->\n\n<!-- results:start b -->\n2\n<!-- results:end b -->\n"


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    return path


def test_only_the_block_changes_and_only_once(readme):
    update_blocks(readme, {"": "new ± †\n"})
    once = readme.read_bytes()
    assert once.decode() == README.replace("old", "new ± †")
    update_blocks(readme, {"": "new ± †\n"})
    assert readme.read_bytes() == once


def test_blocks_are_known_by_their_names(readme):
    readme.write_text(TWO)
    assert block_names(readme) == ["a", "b"]
    update_blocks(readme, {"b": "new"})
    assert readme.read_text() == TWO.replace("2", "new")


def test_windows_newlines_stay(readme):
    readme.write_bytes(README.replace("\n", "\r\n").encode())
    update_blocks(readme, {"": "a\nb"})
    assert readme.read_bytes().decode() == README.replace("old", "a\nb").replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text", ["", START, END, f"{END}\n{START}", f"{START}\n{END}\n{START}\n{END}", TWO.replace("end a", "end c")]
)
def test_without_pairs_of_markers_the_file_is_untouched(readme, text):
    readme.write_text(text)
    with pytest.raises(MarkerError, match=r"README\.md: needs the line <!-- results:start"):
        update_blocks(readme, {"": "new"})
    assert readme.read_text() == text


def test_a_block_that_is_not_there_is_an_error(readme):
    with pytest.raises(MarkerError, match=r"README\.md: has no block digits"):
        update_blocks(readme, {"digits": "new"})


def test_a_file_that_is_no_text(readme):
    readme.write_bytes(b"\xff\xfe" + README.encode())
    with pytest.raises(MarkerError, match="can't decode"):
        update_blocks(readme, {"": "new"})
