"""Pictures as PNG, written by zlib alone."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = {1: 0, 3: 2}  # channels, and the number by which PNG knows them: grey, RGB


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Give a PNG file of pixels (height, width) or (height, width, 3), from 0 to 255."""
    planes = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, channels = planes.shape
    header = struct.pack(">IIBBBBB", width, height, 8, COLOURS[channels], 0, 0, 0)
    # Each row begins with its filter; 0 is none.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = planes.reshape(height, -1)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, content) for name, content in parts)


def grid(images: NDArray[np.float64], columns: int, span: tuple[float, float]) -> NDArray[np.uint8]:
    """Put images (n, height, width, channels) side by side, ``span`` from black to white, a pixel between."""
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    low, high = span
    shades = np.clip((images - low) / ((high - low) or 1.0), 0.0, 1.0)
    sheet = np.full((rows, height + 1, columns, width + 1, channels), 128, np.uint8)
    for k, image in enumerate(shades):
        sheet[k // columns, :height, k % columns, :width] = np.round(255 * image)
    flat = sheet.reshape(rows * (height + 1), columns * (width + 1), channels)[:-1, :-1]
    return flat if channels == 3 else flat[..., 0]


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """Give the picture as an address that holds it, for a page that loads nothing."""
    return "data:image/png;base64," + base64.b64encode(png(pixels)).decode()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
