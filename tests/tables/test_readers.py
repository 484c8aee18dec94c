"""Readers on damaged files: see ``fuzz_readers.py``, which runs the same under atheris."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz_readers import READERS, read_bytes

DAMAGES = 60


def damage(rng, content):
    """Change, remove, repeat or insert some bytes."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        first = int(rng.integers(len(content) + 1))
        last = min(len(content), first + int(rng.choice([1, 2, 8, 64])))
        new = rng.integers(0, 256, rng.integers(0, 9)).astype(np.uint8).tobytes()
        numbers = [
            b"null",
            b"-1",
            b"1e999",
            b"NaN",
            b'""',
            b"[]",
            b"{}",
            b"99999999999999999999",
            b"\xff\xfe",
        ]
        content[first:last] = [new, numbers[rng.integers(len(numbers))], b"", content[first:last] * 2][
            rng.integers(4)
        ]
    return bytes(content)


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused(name, tmp_path, rng):
    reader = READERS[name]
    if name.startswith(("critic", "wgan")):
        pytest.importorskip("torch")
    valid = reader.valid(tmp_path)
    assert read_bytes(reader, tmp_path, valid)
    for _ in range(DAMAGES):
        read_bytes(reader, tmp_path, damage(rng, valid))
    for size in (0, 1, len(valid) // 2, len(valid) - 1):
        read_bytes(reader, tmp_path, valid[:size])
