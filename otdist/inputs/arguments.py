"""Checkers of scalar arguments (numbers, names, flags, seeds), shared by all public functions."""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from otdist.errors import InputError, shorten

if TYPE_CHECKING:
    from typing import TypeGuard


Rng = int | np.random.Generator | None

LARGEST_INTEGER = 2**63 - 1
MAX_VALUE_CHARACTERS = 60
MIN_SIMILARITY = 0.75  # of difflib, from which an unknown name counts as a misspelt one
LARGEST_ORDER = 2.0**53  # from it on float64 does not distinguish p and p + 1


def check_number(
    value: object,
    name: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    remedy: str = "",
) -> float:
    """Read a finite real number as a Python float; raises InputError.

    NumPy scalars, 0-d arrays and tensors, Decimal and Fraction are accepted; booleans, text and tensors
    that require a gradient are not.
    """
    if getattr(value, "requires_grad", False):
        raise InputError(
            name, f"must not require a gradient, got {format_value(value)}", f"pass {name}.detach()"
        )
    number = _to_real(value)
    fits = (
        number is not None
        and math.isfinite(number)
        and (at_least is None or number >= at_least)
        and (above is None or number > above)
        and (at_most is None or number <= at_most)
        and (below is None or number < below)
    )
    if number is None or not fits:
        limits = ((">=", at_least), (">", above), ("<=", at_most), ("<", below))
        bounds = [f"{sign} {limit:g}" for sign, limit in limits if limit is not None]
        wanted = " ".join(["a finite number", " and ".join(bounds)]).strip()
        raise InputError(name, f"must be {wanted}, got {format_value(value)}", remedy or "pass such a number")
    return number


def check_integer(value: object, name: str, *, at_least: int = 1, remedy: str = "") -> int:
    """Read an integer as a Python int; raises InputError.

    NumPy integers are accepted; booleans and floats are not, whatever their value.
    """
    try:
        integer = (
            operator.index(value) if isinstance(value, SupportsIndex) and not _is_boolean(value) else None
        )
    except (TypeError, ValueError, RuntimeError):
        integer = None
    if integer is None or not at_least <= integer <= LARGEST_INTEGER:
        problem = f"must be an integer >= {at_least}, got {format_value(value)}"
        raise InputError(name, problem, remedy or f"pass such a number, for example {max(at_least, 1) * 10}")
    return integer


def check_count(count: object, name: str = "n_resamples") -> int:
    """Read a positive integer; raises InputError."""
    return check_integer(count, name, remedy="use a number such as 999")


def check_choice(value: object, name: str, choices: Collection[str], *, remedy: str = "") -> str:
    """Return the value if it is one of the choices; raises InputError."""
    if isinstance(value, str) and value in choices:
        return str(value)
    quoted = [repr(choice) for choice in choices]
    listed = f"{', '.join(quoted[:-1])} or {quoted[-1]}" if len(quoted) > 1 else quoted[0]
    raise InputError(name, f"must be {listed}, got {format_value(value)}", remedy or f"use {quoted[0]}")


def check_flag(value: object, name: str) -> bool:
    """Read a flag: True or False, or 1 or 0; raises InputError."""
    if _is_boolean(value) or (isinstance(value, int | np.integer) and value in (0, 1)):
        return bool(value)
    raise InputError(name, f"must be True or False, got {format_value(value)}", "use True or False")


def check_rng(rng: Any, name: str = "rng") -> np.random.Generator:
    """Make a random generator from a seed, or return the given generator; raises InputError."""
    try:
        if _is_boolean(rng):
            raise TypeError("a boolean is not a seed")
        # 0-d arrays and tensors are numbers here as elsewhere, not sequences.
        return np.random.default_rng(operator.index(rng) if _is_index(rng) else rng)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            name,
            f"must be None, an integer >= 0 or a numpy Generator, got {format_value(rng)} ({error})",
            "use a seed such as 0, or np.random.default_rng(0)",
        ) from None


def check_seed(rng: object, name: str = "rng") -> int:
    """Read a seed as an integer: any integer type as its value; from a Generator or None, draw one."""
    generator = check_rng(rng, name)  # which refuses booleans, negative and other numbers
    return operator.index(rng) if _is_index(rng) else int(generator.integers(2**60))


def check_order(p: object) -> float:
    """Read the order p of W_p: a finite number of at least 1."""
    return check_number(p, "p", at_least=1.0, below=LARGEST_ORDER, remedy="use p=1 or p=2")


def check_policy(nan_policy: object) -> str:
    """Return the policy for missing values if it is valid; raises InputError."""
    return check_choice(nan_policy, "nan_policy", ("raise", "omit", "propagate"))


def check_mass(mass: object) -> str:
    """Return the rule for different total masses if it is valid; raises InputError."""
    return check_choice(mass, "mass", ("normalize", "strict"))


def check_on_fail(on_fail: object) -> str:
    """Return the action for results without convergence if it is valid; raises InputError."""
    return check_choice(on_fail, "on_fail", ("warn", "raise"))


def check_seconds(max_seconds: object) -> float | None:
    """Read a time limit in seconds, or None; raises InputError."""
    if max_seconds is None or (isinstance(max_seconds, float | np.floating) and max_seconds == math.inf):
        return None
    return check_number(max_seconds, "max_seconds", above=0.0, remedy="give a time in seconds, or None")


def check_tol(tol: object) -> float:
    """Read the relative gap of the stopping rule; raises InputError."""
    return check_number(tol, "tol", at_least=0.0, remedy="give the relative gap to stop at; 0 is exact")


def check_jobs(n_jobs: object) -> int | None:
    """Read a number of threads with the meaning of joblib; raises InputError."""
    if n_jobs is None:
        return None
    jobs = check_integer(n_jobs, "n_jobs", at_least=-(2**31), remedy="use None, 1, 2, ... or -1 for all")
    if jobs == 0:
        raise InputError("n_jobs", "must not be 0", "use None, 1, 2, ... or -1 for all cores")
    return jobs


def check_axis(axis: object) -> int:
    """Read the number of an axis; raises InputError."""
    remedy = "pass one integer: -1 is the last axis, 0 the first"
    return check_integer(axis, "axis", at_least=-(2**31), remedy=remedy)


def check_bytes(max_bytes: object) -> int | None:
    """Read a memory limit in bytes, or None; raises InputError."""
    if max_bytes is None:
        return None
    number = check_number(max_bytes, "max_bytes", above=0.0, remedy="give a number of bytes, or None")
    return int(number)


def check_callback(value: Any, name: str) -> Any:
    """Return a function to be called on the way, or None; raises InputError for anything else."""
    if value is not None and not callable(value):
        raise InputError(
            name, f"must be callable, got {format_value(value)}", f"pass a function, or None for no {name}"
        )
    return value


def check_names(
    options: Iterable[str], allowed: Collection[str], owner: str, aliases: Mapping[str, str] | None = None
) -> None:
    """Raise InputError for the first unknown option of ``owner``; the message lists the known ones.

    The name that was probably meant comes first: the one that ``aliases`` gives for names of other
    packages, or else the most similar one.
    """
    for name in options:
        if name not in allowed:
            listed = ", ".join(allowed)
            remedy = f"its options are {listed}" if allowed else "call it without"
            meant = _find_meant(name, allowed, aliases or {})
            if meant is not None:
                remedy = f"did you mean {meant}? {remedy[0].upper()}{remedy[1:]}"
            raise InputError(name, f"is not an option of {owner}", remedy)


def _find_meant(name: str, allowed: Collection[str], aliases: Mapping[str, str]) -> str | None:
    """Return the option that an unknown name probably means, or None."""
    if name.lower() in aliases:
        return aliases[name.lower()]
    matches = difflib.get_close_matches(name, allowed, 1, MIN_SIMILARITY)
    return matches[0] if matches else None


def set_option(owner: object, name: str, value: object) -> None:
    """Set a field of a frozen dataclass to its checked value; for ``__post_init__``."""
    object.__setattr__(owner, name, value)


def is_call_error(error: TypeError) -> bool:
    """Return whether the call itself raised the error, not the body of the function."""
    trace = error.__traceback__
    return trace is not None and trace.tb_next is None


def get_option_names(owner: Any) -> tuple[str, ...]:
    """Return the names of the options of a solver, the fields of its dataclass."""
    return tuple(field.name for field in fields(owner) if field.init)


def _to_real(value: object) -> float | None:
    """Convert a value to float, or to None if it is not one real number."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        try:
            value = value.item()
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            return None
    if _is_boolean(value) or not isinstance(value, Real | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def _is_index(value: object) -> TypeGuard[SupportsIndex]:
    return hasattr(value, "__index__") and getattr(value, "ndim", 0) == 0


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool | np.bool_) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def format_value(value: object) -> str:
    """Format any value as a short text for messages."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # show the type of a value whose repr fails
        text = f"<{type(value).__name__}>"
    return shorten(text, MAX_VALUE_CHARACTERS)
