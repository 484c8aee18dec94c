"""Conversion of the bytes of a text file to UTF-8."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from otdist.errors import InputError, Option, Remedy, get_reason

if TYPE_CHECKING:
    import pyarrow as pa

BYTE_ORDER_MARKS = (  # longer ones first: a mark of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
ENCODING_OPTION = Option("encoding", "...")
FALLBACK_ENCODING = "cp1252"  # the superset of Latin-1 that Western versions of Excel write
DECODE_BLOCK_BYTES = 1 << 20


def to_utf8(content: pa.Buffer, encoding: str | None, name: str) -> tuple[pa.Buffer, str]:
    """Convert to UTF-8 without a byte order mark; return a note if the encoding was guessed."""
    import pyarrow as pa

    if encoding is not None:
        return pa.py_buffer(_decode(content, encoding, name)), ""
    head = content[:64].to_pybytes() if content.size else b""
    for mark, mark_encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            if mark_encoding == "utf-8-sig":
                return content[len(mark) :], ""
            return pa.py_buffer(_decode(content, mark_encoding, name)), ""
    if utf16 := _detect_utf16(head):
        return pa.py_buffer(_decode(content, utf16, name)), f"read as {utf16}: every second byte is 0"
    if _is_utf8(content):
        return content, ""
    try:
        text = content.to_pybytes().decode(FALLBACK_ENCODING)
    except UnicodeDecodeError:
        raise InputError(
            name,
            f"is neither UTF-8 nor {FALLBACK_ENCODING}",
            Remedy("state its encoding ({}), such as gb18030", ENCODING_OPTION),
        ) from None
    if any(ord(letter) < 32 and letter not in "\t\r\n\f" for letter in text[:DECODE_BLOCK_BYTES]):
        raise InputError(
            name,
            "is not a text file",
            Remedy("check its ending, or state its encoding ({})", ENCODING_OPTION),
        )
    return pa.py_buffer(text.encode()), f"not UTF-8: read as {FALLBACK_ENCODING}"


def _detect_utf16(head: bytes) -> str:
    """Detect UTF-16 without a byte order mark by the zero bytes of ASCII characters; "" for others."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if half and not even and odd > 0.8 * half:
        return "utf-16-le"
    return "utf-16-be" if half and not odd and even > 0.8 * half else ""


def _is_utf8(content: pa.Buffer) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(content)
    try:
        for start in range(0, len(view), DECODE_BLOCK_BYTES):
            decoder.decode(view[start : start + DECODE_BLOCK_BYTES])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _decode(content: pa.Buffer, encoding: str, name: str) -> bytes:
    try:
        return codecs.decode(content.to_pybytes(), encoding).removeprefix("\ufeff").encode()
    except (UnicodeError, LookupError, TypeError, AttributeError) as error:
        problem = f"is not {encoding} ({get_reason(error)})"
        raise InputError(name, problem, Remedy("state its encoding ({})", ENCODING_OPTION)) from None
