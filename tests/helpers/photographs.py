"""Photographs with EXIF, made by hand."""


def exif(value, order="little", kind=3, tag=0x0112):
    """Returns an EXIF segment with two tags, the second of which is the orientation."""

    def number(value, size):
        return value.to_bytes(size, order)

    def entry(tag, value):
        size = 4 if kind == 4 else 2
        return number(tag, 2) + number(kind, 2) + number(1, 4) + number(value, size).ljust(4, b"\0")

    head = {"little": b"II", "big": b"MM"}[order] + number(42, 2) + number(8, 4)
    body = b"Exif\0\0" + head + number(2, 2) + entry(0x0100, 7) + entry(tag, value) + bytes(4)
    return b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
