"""The block of a Markdown file that the results are written into, between two markers."""

from pathlib import Path

from kd_bench.runs.files import write_atomically

START, END = "<!-- results:start -->", "<!-- results:end -->"


class MarkerError(ValueError):
    """The file has no single place for the results."""


def update_block(path: Path, content: str) -> None:
    """Writes the content between the file's markers, atomically, and leaves the rest as it is, byte for byte.

    Raises:
        MarkerError: The markers are not there, or not once each, in order. The file is untouched.
    """
    try:
        updated = replace_block(path.read_bytes().decode("utf-8"), content)
    except (MarkerError, UnicodeDecodeError) as error:
        raise MarkerError(f"{path}: {error}") from error
    write_atomically(path, updated)


def replace_block(text: str, content: str) -> str:
    """Returns the text with the content, in the text's own kind of newlines, between its markers."""
    if text.count(START) != 1 or text.count(END) != 1 or text.index(START) > text.index(END):
        raise MarkerError(f"needs the line {START} and, below it, the line {END}, once each")
    before, _, rest = text.partition(START)
    newline = "\r\n" if "\r\n" in text else "\n"
    block = f"{START}\n{content.strip()}\n{END}".replace("\n", newline)
    return before + block + rest.partition(END)[2]
