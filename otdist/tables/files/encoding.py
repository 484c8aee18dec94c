"""Bytes of a text file as UTF-8, whatever encoding they are in."""

from __future__ import annotations

import codecs
from typing import Any

from otdist.errors import InputError, Option, Remedy

MARKS = (  # the longer ones first: a mark of UTF-32 begins with one of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ENCODING = Option("encoding", "...")
FALLBACK = "cp1252"  # the superset of Latin-1 that Excel writes in the West
PIECE_BYTES = 1 << 20


def as_utf8(content: Any, encoding: str | None, name: str) -> tuple[Any, str]:
    """UTF-8 without a mark, and a note where the encoding was not stated."""
    import pyarrow as pa

    if encoding is not None:
        return pa.py_buffer(_decoded(content, encoding, name)), ""
    head = content[:64].to_pybytes() if content.size else b""
    for mark, marked in MARKS:
        if head.startswith(mark):
            if marked == "utf-8-sig":
                return content[len(mark) :], ""
            return pa.py_buffer(_decoded(content, marked, name)), ""
    if wide := _wide(head):
        return pa.py_buffer(_decoded(content, wide, name)), f"read as {wide}: every second byte is 0"
    if _is_utf8(content):
        return content, ""
    try:
        text = content.to_pybytes().decode(FALLBACK)
    except UnicodeDecodeError:
        raise InputError(
            name,
            f"is neither UTF-8 nor {FALLBACK}",
            Remedy("state its encoding ({}), such as gb18030", ENCODING),
        ) from None
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text[:PIECE_BYTES]):
        raise InputError(
            name, "is not a text file", Remedy("check its ending, or state its encoding ({})", ENCODING)
        )
    return pa.py_buffer(text.encode()), f"not UTF-8: read as {FALLBACK}"


def _wide(head: bytes) -> str:
    """UTF-16 without a mark, by the zeros beside ASCII."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half and not even and odd > 0.8 * half:
        return "utf-16-le"
    return "utf-16-be" if half and not odd and even > 0.8 * half else ""


def _is_utf8(content: Any) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(content)
    try:
        for start in range(0, len(view), PIECE_BYTES):
            decoder.decode(view[start : start + PIECE_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(content: Any, encoding: str, name: str) -> bytes:
    try:
        return codecs.decode(content.to_pybytes(), encoding).removeprefix("\ufeff").encode()
    except (UnicodeError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            name, f"is not {encoding} ({reason})", Remedy("state its encoding ({})", ENCODING)
        ) from None
