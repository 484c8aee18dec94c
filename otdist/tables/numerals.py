"""Numbers and dates that are written as text: ``1.234,50``, ``12,5 %``, ``€ 3.50``, ``03.11.2025``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EMPTY_SIGNS = ("-", "--", ".", "?", "*", "–", "—")  # a missing number in statistics; a label elsewhere
CODES = "EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|CAD|AUD|kr|zł|Kč|Ft"
HINTS = 1000  # labels looked at for a hint
EXPONENT = r"(?:[eE][+-]?\d+)?"
SPACES = " \u00a0\u202f\u2009'\u2019"  # spaces and apostrophes that group thousands
GROUPED = {
    mark: re.compile(
        rf"[+-]?(?:\d{{1,3}}(?P<g>[{SPACES}{re.escape(other)}])\d{{3}}(?:(?P=g)\d{{3}})*|\d+)?"
        rf"(?:{re.escape(mark)}\d*)?{EXPONENT}"
    )
    for mark, other in ((".", ","), (",", "."))
}
DATES = {
    "%Y-%m-%d": re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?:[ T].*)?"),
    "%d.%m.%Y": re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})(?: .*)?"),
    "": re.compile(r"(?P<first>\d{1,2})[/-](?P<second>\d{1,2})[/-](?P<year>\d{4})(?: .*)?"),
}


@dataclass(frozen=True, eq=False)
class Numerals:
    """Texts read as numbers: NaN where one is not a number; ``affix`` is a currency or a percent sign."""

    values: Array
    affix: str
    decimal: str


def without_affix(text: str) -> tuple[str, str]:
    """The text without currency and percent sign, and what was taken away."""
    bare = text.strip().replace("−", "-")
    if re.fullmatch(r"\d.*\d-", bare):  # a sign at the end, as ledgers have it
        bare = f"-{bare[:-1]}"
    found = re.fullmatch(rf"(?P<sign>[+-]?)\s*(?P<affix>{CODES}|[^\d\s.,+-])\s*(?P<rest>.*)", bare)
    if found is None:
        found = re.fullmatch(rf"(?P<sign>)(?P<rest>.*?)\s*(?P<affix>{CODES}|[^\d\s.,+-])", bare)
    if found is None or not (len(found["affix"]) > 1 or _is_unit(found["affix"])):
        return bare, ""
    return found["sign"] + found["rest"].strip(), found["affix"]


def _is_unit(sign: str) -> bool:
    return sign in "%‰" or unicodedata.category(sign) == "Sc"


def decimals_of(bare: str) -> frozenset[str]:
    """Decimal marks with which a text is a number."""
    if not any(letter.isdigit() for letter in bare):
        return frozenset()
    return frozenset(mark for mark, pattern in GROUPED.items() if pattern.fullmatch(bare))


def value_of(bare: str, decimal: str) -> float:
    """The number that a text stands for with this decimal mark."""
    for sign in SPACES + (set(".,") - {decimal}).pop():
        bare = bare.replace(sign, "")
    return float(bare.replace(decimal, "."))


def common_decimals(texts: Sequence[str]) -> frozenset[str]:
    """Decimal marks with which all of these are numbers; both where it makes no difference or is open."""
    marks = frozenset(".,")
    for text in texts:
        marks &= decimals_of(without_affix(text)[0])
        if not marks:
            break
    return marks


def is_open(texts: Sequence[str]) -> bool:
    """Whether texts are other numbers with the one decimal mark than with the other."""
    if len(common_decimals(texts)) < 2:
        return False
    bare = [without_affix(text)[0] for text in texts]
    return any(value_of(text, ".") != value_of(text, ",") for text in bare)


def numbers_of(texts: Sequence[str], decimal: str | None = None) -> Numerals | None:
    """Read all of these as numbers; None where they are not, or where the decimal mark is open."""
    if not texts:
        return None
    marks = common_decimals(texts)
    if not marks or (decimal is not None and decimal not in marks):
        return None
    if decimal is None and is_open(texts):
        return None
    mark = decimal or ("." if "." in marks else ",")
    parts = [without_affix(text) for text in texts]
    affixes = {affix for _, affix in parts if affix}
    if len(affixes) > 1:
        return None
    values = np.array([value_of(bare, mark) for bare, _ in parts])
    return Numerals(values, next(iter(affixes), ""), mark)


def strays(texts: Sequence[str]) -> tuple[list[str], str]:
    """The few texts that are not numbers, or not dates, where nearly all are, and which of the two it is."""
    tests: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("numbers", lambda text: bool(decimals_of(without_affix(text)[0]))),
        ("dates", lambda text: date_format([text]) is not None),
    )
    for what, test in tests:
        others = [text for text in texts if not test(text)]
        if 0 < len(others) <= 3 and len(others) < len(texts) / 2:
            return others, what
    return [], ""


def date_format(texts: Sequence[str]) -> str | None:
    """Format of dates; "" where day and month cannot be told apart, None for other texts."""
    for form, pattern in DATES.items():
        found = [pattern.fullmatch(text.strip()) for text in texts]
        if not texts or not all(found):
            continue
        if form:
            return form.replace("-", texts[0].strip()[4]) if form.startswith("%Y") else form
        parts = [(int(match["first"]), int(match["second"])) for match in found if match]
        sign = "/" if "/" in texts[0] else "-"
        if max(first for first, _ in parts) > 12:
            return f"%d{sign}%m{sign}%Y"
        return f"%m{sign}%d{sign}%Y" if max(second for _, second in parts) > 12 else ""
    return None


def hint(texts: Sequence[str]) -> str:
    """What to say of labels that look like something else."""
    texts = texts[:HINTS]
    if not texts:
        return ""
    if _leads_with_zeros(texts):
        return ""
    if common_decimals(texts):
        example = next((text for text in texts if decimals_of(text) != frozenset(".,")), texts[0])
        how = "state the decimal mark" if is_open(texts) else "numeric reads it"
        return f"text that looks like numbers, such as {example!r}: {how}"
    few, what = strays(texts)
    if few:
        return f"{what} but for {', '.join(map(repr, few))}"
    form = date_format(texts)
    if form is not None:
        how = "state its format" if form == "" else "convert it to dates"
        return f"text that looks like dates, such as {texts[0]!r}: {how}"
    return ""


def _leads_with_zeros(texts: Sequence[str]) -> bool:
    return all(text.isdigit() for text in texts) and any(text[0] == "0" and len(text) > 1 for text in texts)
