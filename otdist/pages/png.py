"""PNG images, written with zlib only."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from otdist.typing import Array

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_COLOUR_TYPES = {1: 0, 3: 2}  # PNG colour type by number of channels: grey, RGB


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels (height, width) or (height, width, 3), from 0 to 255, as a PNG file."""
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = planes.shape
    header = struct.pack(">IIBBBBB", width, height, 8, PNG_COLOUR_TYPES[channels], 0, 0, 0)
    # Each row begins with its filter; 0 is none.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = planes.reshape(height, -1)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(_make_chunk(name, content) for name, content in parts)


def arrange_grid(images: Array, columns: int, span: tuple[float, float]) -> NDArray[np.uint8]:
    """Arrange images (n, height, width, channels) in a grid, with ``span`` from black to white."""
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    low, high = span
    shades = np.clip((images - low) / ((high - low) or 1.0), 0.0, 1.0)
    sheet = np.full((rows, height + 1, columns, width + 1, channels), 128, np.uint8)
    for k, image in enumerate(shades):
        sheet[k // columns, :height, k % columns, :width] = np.round(255 * image)
    flat = sheet.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]
    return flat if channels == 3 else flat[..., 0]


def to_data_uri(pixels: NDArray[np.uint8]) -> str:
    """Encode the image as a data URI, for self-contained pages."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()


def _make_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
