"""Rows as ``otdist.bench`` writes them."""

from __future__ import annotations


def make_row(question="q", **more):
    row = {"question": question, "method": "m", "budget": 1.0, "seed": 0, "status": "ok", "value": 1.0}
    return row | {"n": 5, "m": 5, "d": 2, "seconds": 1.0, "memory": 10, "known": 1.0, "reason": ""} | more
