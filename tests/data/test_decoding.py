"""Image files of all kinds are read as viewers show them, also as gray; bombs are refused before they are decoded."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from helpers.photographs import exif

from kd_bench.data.decoding import decode_image
from kd_bench.data.orientation import upright

GRAY = np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4, 1)
COLOURS = np.concatenate([GRAY, 255 - GRAY, GRAY // 2], axis=2)


def bmp(pixels, palette=b"", bits=24, size=None):
    """Returns a BMP file, which stores rows from the lowest, each padded to four bytes."""
    height, width = size or pixels.shape[:2]
    rows = b"".join(row.tobytes() + bytes(-row.size % 4) for row in pixels[::-1, :, ::-1])
    start = 54 + len(palette)
    head = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(rows), 0, 0, len(palette) // 4, 0)
    return head + about + palette + rows


def ramp(step=1):
    return b"".join(bytes([value * step % 256] * 3 + [0]) for value in range(256))


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bomb(height, width):
    """Returns a PNG that states a size, and has few pixels."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")


def gif(size):
    """Returns a GIF of one white pixel that states a size."""
    head = b"GIF89a" + struct.pack("<HH", *size) + b"\x80\0\0" + b"\xff\xff\xff\0\0\0"
    return head + b",\0\0\0\0\1\0\1\0\0" + b"\2\2\x44\1\0;"


def jpeg(pixels=COLOURS, *, insert=b""):
    content = tf.io.encode_jpeg(pixels, quality=100, chroma_downsampling=False).numpy()
    return content[:2] + insert + content[2:]


SOUND = {
    "a PNG": lambda: tf.io.encode_png(COLOURS).numpy(),
    "a PNG with alpha": lambda: tf.io.encode_png(np.concatenate([COLOURS, GRAY], axis=2)).numpy(),
    "a JPEG": jpeg,
    "a BMP": lambda: bmp(COLOURS),
}
SOUND_GRAY = {
    "a gray PNG": lambda: tf.io.encode_png(GRAY).numpy(),
    "a PNG of 16 bits": lambda: tf.io.encode_png(GRAY.astype(np.uint16) * 257).numpy(),
    "a gray JPEG": lambda: jpeg(GRAY),
    "a gray BMP": lambda: bmp(GRAY, ramp(), 8),
}
_JPEG = 8
"""How much the values of so small a JPEG can differ from those that were written."""
LUMA = np.array([0.2989, 0.587, 0.114])


@pytest.mark.parametrize("kind", SOUND)
def test_colours_are_read_and_turned_into_gray(kind):
    content = SOUND[kind]()
    np.testing.assert_allclose(decode_image(content, 3).numpy().astype(int), COLOURS, atol=_JPEG)
    np.testing.assert_allclose(decode_image(content, 1).numpy()[..., 0], COLOURS @ LUMA, atol=_JPEG)


@pytest.mark.parametrize("kind", SOUND_GRAY)
def test_gray_is_the_same_gray(kind):
    content = SOUND_GRAY[kind]()
    for channels in (1, 3):
        np.testing.assert_allclose(
            decode_image(content, channels).numpy().astype(int), GRAY.repeat(channels, 2), atol=_JPEG
        )


def test_a_gif_is_read_as_gray():
    for channels in (1, 3):
        assert decode_image(gif((1, 1)), channels).numpy().tolist() == [[[255] * channels]]


def test_a_jpeg_for_printing_is_read_as_gray(generator):
    image, io = pytest.importorskip("PIL.Image"), pytest.importorskip("io")
    stream = io.BytesIO()
    image.fromarray(COLOURS).convert("CMYK").save(stream, "JPEG", quality=100)
    assert decode_image(stream.getvalue(), 1).shape == (3, 4, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("stated", range(1, 9))
def test_a_photograph_is_read_upright(stated, channels):
    plain = decode_image(jpeg(), channels).numpy()
    found = decode_image(jpeg(insert=exif(stated)), channels).numpy()
    np.testing.assert_array_equal(found, upright(plain, tf.constant(stated)))


BOMBS = {
    "a PNG": png_bomb(20_000, 20_000),
    "the largest PNG": png_bomb(2**31 - 1, 2**31 - 1),
    "a BMP": bmp(COLOURS, size=(20_000, 20_000)),
    "a BMP from above": bmp(COLOURS, size=(-20_000, 20_000)),
    "a GIF": gif((65_535, 65_535)),
    "a JPEG": jpeg().replace(struct.pack(">HHB", 3, 4, 3), struct.pack(">HHB", 65_000, 65_000, 3)),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_file_that_states_a_size_beyond_memory_is_not_decoded(kind, monkeypatch):
    monkeypatch.setattr(tf.io, "decode_image", None)
    with pytest.raises(ValueError, match=r"pixels are more than 134,217,728"):
        decode_image(BOMBS[kind], 3)


@pytest.mark.parametrize("palette", [ramp(3), ramp()[::-1], bytes(1024)])
def test_colours_in_the_palette_of_a_bmp_are_not_taken_for_gray(palette):
    with pytest.raises(ValueError, match="a BMP file with a palette; save it as PNG"):
        decode_image(bmp(GRAY, palette, 8), 3)


@pytest.mark.parametrize(
    "content", [b"", b"BM", b"BM" + bytes(60), b"GIF89a", b"\x89PNG", b"\xff\xd8", b"text", bytes(99)]
)
def test_what_is_no_image_raises_what_a_reader_may_raise(content):
    with pytest.raises((ValueError, tf.errors.OpError)):
        decode_image(content, 3)
