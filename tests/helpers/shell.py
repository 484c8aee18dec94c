"""Checks of what the shell commands print."""

from __future__ import annotations

import json


def strict(text):
    """Read JSON that has no NaN and no Infinity."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def one_line(answer, *words):
    """Whether the command failed with status 2 and one readable line on standard error alone."""
    status, out, err = answer
    assert (status, out) == (2, ""), err
    assert err.startswith("otdist: ") and err.endswith("\n")
    assert err[:-1].isprintable(), err
    assert all(word in err for word in words), err
    return True
