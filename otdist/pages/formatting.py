"""Numbers and names as readable text, for pages and terminals."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

DASH = "–"


def escape_unprintable(text: str) -> str:
    r"""Escape unprintable characters (NUL, escapes, line breaks, bidi marks) as ``\x00``."""
    # unicode_escape also turns a lone surrogate into ASCII, which UTF-8 could not write.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def format_number(value: float) -> str:
    """Format a number with four significant digits (as an integer from 1,000 on); NaN is a dash."""
    if math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.4g}")
    text = f"{value:,.0f}" if 1000 <= abs(rounded) < 1e9 else f"{value:.4g}"
    return text.replace("-", "−", 1) if value < 0 else text


def format_percent(share: float) -> str:
    """Format a share as a percentage; values near 0 and 1 never round to 0% or 100%."""
    if math.isnan(share):
        return DASH
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


def format_probability(value: float) -> str:
    """Format a probability with three significant digits, which distinguish 0.0504 from 0.05."""
    return DASH if math.isnan(value) else f"{value:.3g}"


def format_count(count: int, noun: str) -> str:
    """Format a count with its noun, in the plural unless it is 1."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def capitalise(text: str) -> str:
    """Write the first letter as a capital, and the others as they are."""
    return text[:1].upper() + text[1:]


def format_interval(lower: float, upper: float) -> str:
    """Format ``[lower, upper]`` rounded outwards, so that the printed interval is proved as well."""
    narrow = math.isfinite(upper) and upper - lower <= 1e-6 * abs(upper)
    # Outward rounding of a very narrow interval would show a gap that does not exist.
    ends = (
        (lower, upper)
        if narrow
        else (_round_printed(lower, ROUND_FLOOR), _round_printed(upper, ROUND_CEILING))
    )
    return f"[{format_number(ends[0])}, {format_number(ends[1])}]"


def round_outward(lower: float, upper: float, digits: int) -> tuple[float, float]:
    """Round bounds outwards to some significant digits, so that they stay proved."""
    return _round_digits(lower, digits, ROUND_FLOOR), _round_digits(upper, digits, ROUND_CEILING)


def format_lower_bound(lower: float) -> str:
    """Format ``≥ lower`` rounded down, so that the printed bound is proved as well."""
    return f"≥ {format_number(_round_printed(lower, ROUND_FLOOR))}"


def _round_printed(value: float, rounding: str) -> float:
    if not math.isfinite(value):
        return value
    if abs(value) >= 1000:  # format_number shows these as integers
        return float(Decimal(repr(value)).to_integral_value(rounding))
    return _round_digits(value, 4, rounding)


def _round_digits(value: float, digits: int, rounding: str) -> float:
    if not math.isfinite(value):
        return value
    # From repr, not from the binary value: 0.4123 stays 0.4123.
    return float(Context(prec=digits, rounding=rounding).plus(Decimal(repr(float(value)))))
