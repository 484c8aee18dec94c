"""Numbers and names as people read them, on pages and in terminals."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

DASH = "–"


def visible(text: str) -> str:
    r"""Show what a screen would hide or obey (NUL, escapes, line breaks, bidi marks) as ``\x00``."""
    # unicode_escape also turns a lone surrogate into ASCII, which UTF-8 could not write.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def number(value: float) -> str:
    """Four significant digits (whole numbers from 1,000 on); a dash where there is no number."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.4g}")
    text = f"{value:,.0f}" if 1000 <= abs(rounded) < 1e9 else f"{value:.4g}"
    return text.replace("-", "−", 1) if value < 0 else text


def percent(share: float) -> str:
    """Write a share as a percentage; something never becomes nothing, nor nearly all become all."""
    if math.isnan(share):
        return DASH
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


def probability(value: float) -> str:
    """Three significant digits: enough to tell 0.0504 from 0.05."""
    return DASH if math.isnan(value) else f"{value:.3g}"


def interval(lower: float, upper: float) -> str:
    """``[lower, upper]`` rounded outwards, so that the printed interval is proved as well."""
    closed = math.isfinite(upper) and upper - lower <= 1e-6 * abs(upper)
    # Outward rounding of a closed interval would show a gap that is not there.
    ends = (lower, upper) if closed else (_outward(lower, ROUND_FLOOR), _outward(upper, ROUND_CEILING))
    return f"[{number(ends[0])}, {number(ends[1])}]"


def outward(lower: float, upper: float, digits: int) -> tuple[float, float]:
    """Bounds at some significant digits, rounded so that what they say is proved as well."""
    return _rounded(lower, digits, ROUND_FLOOR), _rounded(upper, digits, ROUND_CEILING)


def at_least(lower: float) -> str:
    """``≥ lower`` rounded down, so that the printed bound is proved as well."""
    return f"≥ {number(_outward(lower, ROUND_FLOOR))}"


def _outward(value: float, rounding: str) -> float:
    if not math.isfinite(value):
        return value
    if abs(value) >= 1000:  # number() shows these as whole numbers
        return float(Decimal(repr(value)).to_integral_value(rounding))
    return _rounded(value, 4, rounding)


def _rounded(value: float, digits: int, rounding: str) -> float:
    if not math.isfinite(value):
        return value
    # From repr, not from the binary value: 0.4123 is to stay 0.4123.
    return float(Context(prec=digits, rounding=rounding).plus(Decimal(repr(float(value)))))
