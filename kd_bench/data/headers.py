"""What an image file says of itself: enough to refuse it, with its name, before its pixels take memory."""

import numpy as np

from kd_bench.data import jpeg

_MOST_PIXELS = 2**27
"""More than a camera has. A file of a few bytes can ask for more than the memory holds."""
_PALETTE_BITS = 8
_PNG, _PNG_END = b"\x89PNG", b"IEND"
_LAST = 64
"""The end of a PNG is among so many bytes, if little follows it."""


def require_sound(data: bytes) -> None:
    """Checks what can be seen of an image file without decoding it.

    Raises:
        ValueError: it has too many pixels, ends too early, or has colours that TensorFlow would not read.
    """
    height, width = stated_size(data)
    if height * width > _MOST_PIXELS:
        raise ValueError(f"its {height}x{width} pixels are more than {_MOST_PIXELS:,}")
    if _has_palette(data):
        raise ValueError("it is a BMP file with a palette; save it as PNG")
    if _is_cut_short(data):
        raise ValueError("it is cut short")


def require_image(data: bytes) -> None:
    """Checks that a file is a sound image of a kind that can be read, whatever its name ends in.

    Raises:
        ValueError: it is of another kind, or as of `require_sound`.
    """
    require_sound(data)
    if 0 in stated_size(data):
        raise ValueError("it is no BMP, GIF, JPEG or PNG file")


def stated_size(data: bytes) -> tuple[int, int]:
    """Returns the height and width that a file states, as it stores them; 0 and 0 if it is none that is known."""
    if data[:4] == _PNG:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if data[:3] == b"GIF":
        return int.from_bytes(data[8:10], "little"), int.from_bytes(data[6:8], "little")
    if data[:2] == b"BM":
        return abs(int.from_bytes(data[22:26], "little", signed=True)), int.from_bytes(data[18:22], "little")
    if data[:2] == jpeg.START:
        return jpeg.stated_size(data)
    return 0, 0


def _is_cut_short(data: bytes) -> bool:
    """Returns whether a JPEG has no end after its pixels, or a PNG no last part."""
    if data[:2] == jpeg.START:
        return any(marker == jpeg.PIXELS and data.find(jpeg.END, end) < 0 for marker, _, end in jpeg.segments(data))
    return data[:4] == _PNG and _PNG_END not in data[-_LAST:]


def _has_palette(data: bytes) -> bool:
    """Returns whether a file is a BMP of colours in a palette, whose numbers TensorFlow takes for gray values."""
    if data[:2] != b"BM" or int.from_bytes(data[28:30], "little") > _PALETTE_BITS:
        return False
    start, end = 14 + int.from_bytes(data[14:18], "little"), int.from_bytes(data[10:14], "little")
    colours = np.frombuffer(data[start : end - (end - start) % 4], np.uint8).reshape(-1, 4)[:, :3]
    return not np.array_equal(colours, np.arange(len(colours), dtype=np.uint8)[:, None].repeat(3, axis=1))
