"""The orientation of a photograph: a camera stores its pixels as they come, and in EXIF how to turn them."""

import numpy as np

_UPRIGHT = 1
_TAG = 0x0112
_LONG = 4
_ENTRY = 12
_EXIF, _PIXELS = 0xE1, 0xDA
"""The markers in a JPEG file before the segments with EXIF and with the pixels."""


def orientation(data: bytes) -> int:
    """Returns the orientation that a JPEG file states, 1 to 8; 1, which is upright, if it states none."""
    exif = _exif(data)
    order = {b"II": "little", b"MM": "big"}.get(exif[:2])
    if order is None:
        return _UPRIGHT

    def number(offset: int, size: int) -> int:
        return int.from_bytes(exif[offset : offset + size], order)  # type: ignore[arg-type]

    first = number(4, 4)
    for entry in range(first + 2, first + 2 + _ENTRY * number(first, 2), _ENTRY):
        if number(entry, 2) == _TAG:
            stated = number(entry + 8, 4 if number(entry + 2, 2) == _LONG else 2)
            return stated if 1 <= stated <= 8 else _UPRIGHT  # noqa: PLR2004 - EXIF's values
    return _UPRIGHT


def upright(pixels: np.ndarray, stated: int) -> np.ndarray:
    """Returns an image `[H,W,C]` as viewers show it, `[W,H,C]` if its orientation (1 to 8) is above 4."""
    if stated in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if stated in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if stated in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _exif(data: bytes) -> bytes:
    """Returns the EXIF part of a JPEG file, which is a TIFF file; nothing if there is none."""
    offset = 2 if data[:2] == b"\xff\xd8" else len(data)
    while data[offset : offset + 1] == b"\xff" and data[offset + 1 : offset + 2] != bytes([_PIXELS]):
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        if data[offset + 1] == _EXIF and data[offset + 4 : offset + 10] == b"Exif\0\0":
            return data[offset + 10 : end]
        offset = end
    return b""
