"""Numbers and dates in text: ``1.234,50``, ``12,5 %``, ``€ 3.50``, ``03.11.2025``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from otdist.typing import Array

MISSING_SIGNS = ("-", "--", ".", "?", "*", "–", "—")  # missing numbers in statistics; labels elsewhere
CURRENCY_CODES = "EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|CAD|AUD|kr|zł|Kč|Ft"
MAX_HINT_LABELS = 1000  # labels examined for a suggestion
EXPONENT_PATTERN = r"(?:[eE][+-]?\d+)?"
THOUSANDS_SEPARATORS = " \u00a0\u202f\u2009'\u2019"  # spaces and apostrophes that group thousands
NUMBER_PATTERNS = {
    mark: re.compile(
        rf"[+-]?(?:\d{{1,3}}(?P<g>[{THOUSANDS_SEPARATORS}{re.escape(other)}])\d{{3}}(?:(?P=g)\d{{3}})*|\d+)?"
        rf"(?:{re.escape(mark)}\d*)?{EXPONENT_PATTERN}"
    )
    for mark, other in ((".", ","), (",", "."))
}
DATE_PATTERNS = {
    "%Y-%m-%d": re.compile(r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?:[ T].*)?"),
    "%d.%m.%Y": re.compile(r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})(?: .*)?"),
    "": re.compile(r"(?P<first>\d{1,2})[/-](?P<second>\d{1,2})[/-](?P<year>\d{4})(?: .*)?"),
}


@dataclass(frozen=True, eq=False)
class Numerals:
    """Numbers read from text; ``affix`` is a currency or a percent sign."""

    values: Array
    affix: str
    decimal: str


def strip_affix(text: str) -> tuple[str, str]:
    """Strip a currency or percent sign; return the remaining text and the sign."""
    bare = text.strip().replace("−", "-")
    if re.fullmatch(r"\d.*\d-", bare):  # a trailing sign, as in ledgers
        bare = f"-{bare[:-1]}"
    match = re.fullmatch(rf"(?P<sign>[+-]?)\s*(?P<affix>{CURRENCY_CODES}|[^\d\s.,+-])\s*(?P<rest>.*)", bare)
    if match is None:
        match = re.fullmatch(rf"(?P<sign>)(?P<rest>.*?)\s*(?P<affix>{CURRENCY_CODES}|[^\d\s.,+-])", bare)
    if match is None or not (len(match["affix"]) > 1 or _is_unit_sign(match["affix"])):
        return bare, ""
    return match["sign"] + match["rest"].strip(), match["affix"]


def _is_unit_sign(sign: str) -> bool:
    return sign in "%‰" or unicodedata.category(sign) == "Sc"


def find_decimal_marks(bare: str) -> frozenset[str]:
    """Return the decimal marks with which a text is a number."""
    if not any(letter.isdigit() for letter in bare):
        return frozenset()
    return frozenset(mark for mark, pattern in NUMBER_PATTERNS.items() if pattern.fullmatch(bare))


def parse_number(bare: str, decimal: str) -> float:
    """Parse a text as a number with this decimal mark."""
    for sign in THOUSANDS_SEPARATORS + (set(".,") - {decimal}).pop():
        bare = bare.replace(sign, "")
    return float(bare.replace(decimal, "."))


def find_common_decimal_marks(texts: Sequence[str]) -> frozenset[str]:
    """Return the decimal marks with which all texts are numbers; both if they are equivalent or ambiguous."""
    marks = frozenset(".,")
    for text in texts:
        marks &= find_decimal_marks(strip_affix(text)[0])
        if not marks:
            break
    return marks


def is_ambiguous(texts: Sequence[str]) -> bool:
    """Return whether texts are different numbers with the two decimal marks."""
    if len(find_common_decimal_marks(texts)) < 2:
        return False
    bare = [strip_affix(text)[0] for text in texts]
    return any(parse_number(text, ".") != parse_number(text, ",") for text in bare)


def parse_numbers(texts: Sequence[str], decimal: str | None = None) -> Numerals | None:
    """Parse texts as numbers; None if they are not, or if the decimal mark is ambiguous."""
    if not texts:
        return None
    marks = find_common_decimal_marks(texts)
    if not marks or (decimal is not None and decimal not in marks):
        return None
    if decimal is None and is_ambiguous(texts):
        return None
    mark = decimal or ("." if "." in marks else ",")
    parts = [strip_affix(text) for text in texts]
    affixes = {affix for _, affix in parts if affix}
    if len(affixes) > 1:
        return None
    values = np.array([parse_number(bare, mark) for bare, _ in parts])
    return Numerals(values, next(iter(affixes), ""), mark)


def find_exceptions(texts: Sequence[str]) -> tuple[list[str], str]:
    """Return the few exceptions among texts that are nearly all numbers or dates, and that kind."""
    tests: tuple[tuple[str, Callable[[str], bool]], ...] = (
        ("numbers", lambda text: bool(find_decimal_marks(strip_affix(text)[0]))),
        ("dates", lambda text: detect_date_format([text]) is not None),
    )
    for kind, test in tests:
        others = [text for text in texts if not test(text)]
        if 0 < len(others) <= 3 and len(others) < len(texts) / 2:
            return others, kind
    return [], ""


def detect_date_format(texts: Sequence[str]) -> str | None:
    """Detect the format of dates; "" if day and month cannot be distinguished, None for other texts."""
    for form, pattern in DATE_PATTERNS.items():
        matches = [pattern.fullmatch(text.strip()) for text in texts]
        if not texts or not all(matches):
            continue
        if form:
            return form.replace("-", texts[0].strip()[4]) if form.startswith("%Y") else form
        parts = [(int(match["first"]), int(match["second"])) for match in matches if match]
        sign = "/" if "/" in texts[0] else "-"
        if max(first for first, _ in parts) > 12:
            return f"%d{sign}%m{sign}%Y"
        return f"%m{sign}%d{sign}%Y" if max(second for _, second in parts) > 12 else ""
    return None


def suggest_conversion(texts: Sequence[str]) -> str:
    """Return a note on labels that look like numbers or dates; "" for others."""
    texts = texts[:MAX_HINT_LABELS]
    if not texts:
        return ""
    if _have_leading_zeros(texts):
        return ""
    if find_common_decimal_marks(texts):
        example = next((text for text in texts if find_decimal_marks(text) != frozenset(".,")), texts[0])
        remedy = "state the decimal mark" if is_ambiguous(texts) else "numeric reads it"
        return f"text that looks like numbers, such as {example!r}: {remedy}"
    exceptions, kind = find_exceptions(texts)
    if exceptions:
        return f"{kind} but for {', '.join(map(repr, exceptions))}"
    form = detect_date_format(texts)
    if form is not None:
        remedy = "state its format" if form == "" else "convert it to dates"
        return f"text that looks like dates, such as {texts[0]!r}: {remedy}"
    return ""


def _have_leading_zeros(texts: Sequence[str]) -> bool:
    return all(text.isdigit() for text in texts) and any(text[0] == "0" and len(text) > 1 for text in texts)
