"""The parts of a JPEG file."""

from collections.abc import Iterator

START, END = b"\xff\xd8", b"\xff\xd9"
EXIF, PIXELS = 0xE1, 0xDA
"""The markers before the segments with EXIF and with the pixels."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""The markers before what states the size; the three others are of tables, of none and of arithmetic coding."""


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields the marker of each segment, and where its content begins and ends; what begins the pixels is the last."""
    offset = 2 if data[:2] == START else len(data)
    while data[offset : offset + 1] == b"\xff" and offset + 4 <= len(data):
        if data[offset + 1] == 0xFF:  # noqa: PLR2004 - any number of these bytes may come before a marker
            offset += 1
            continue
        marker, end = data[offset + 1], offset + 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        yield marker, offset + 4, end
        offset = len(data) if marker == PIXELS else end


def stated_size(data: bytes) -> tuple[int, int]:
    """Returns the height and width that a JPEG file states, as it stores them; 0 and 0 if it states none."""
    for marker, start, _ in segments(data):
        if marker in _FRAMES:
            return int.from_bytes(data[start + 1 : start + 3], "big"), int.from_bytes(
                data[start + 3 : start + 5], "big"
            )
    return 0, 0
