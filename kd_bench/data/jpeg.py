"""The parts of a JPEG file."""

from collections.abc import Iterator

START, END = b"\xff\xd8", b"\xff\xd9"
EXIF, PIXELS = 0xE1, 0xDA
"""The markers before the segments with EXIF and with the pixels."""


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yields the marker of each segment, and where its content begins and ends; what begins the pixels is the last."""
    offset = 2 if data[:2] == START else len(data)
    while data[offset : offset + 1] == b"\xff" and offset + 4 <= len(data):
        marker, end = data[offset + 1], offset + 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        yield marker, offset + 4, end
        offset = len(data) if marker == PIXELS else end
