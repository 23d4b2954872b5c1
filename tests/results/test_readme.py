import pytest

from kd_bench.results.readme import END, START, MarkerError, replace_block, update_block

README = f"# Title\n\n{START}\nold\n{END}\n\nThe rest.\n"


def test_only_the_block_changes_and_only_once(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    update_block(path, "new ± †\n")
    once = path.read_bytes()
    assert once.decode() == README.replace("old", "new ± †")
    update_block(path, "new ± †\n")
    assert path.read_bytes() == once


def test_windows_newlines_stay():
    text = README.replace("\n", "\r\n")
    assert replace_block(text, "a\nb") == README.replace("old", "a\nb").replace("\n", "\r\n")


@pytest.mark.parametrize("text", ["", START, END, f"{END}\n{START}", f"{START}\n{END}\n{START}\n{END}"])
def test_without_one_pair_of_markers_the_file_is_untouched(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(MarkerError, match=r"README\.md: needs the line <!-- results:start -->"):
        update_block(path, "new")
    assert path.read_text() == text


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "README.md"
    path.write_bytes(b"\xff\xfe" + README.encode())
    with pytest.raises(MarkerError, match="can't decode"):
        update_block(path, "new")
