"""A float whose exact value may be a torch tensor: arithmetic, order, copies."""

from __future__ import annotations

import copy
import io
import operator
import pickle
from collections.abc import Callable, Iterable, Mapping
from dataclasses import FrozenInstanceError
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

import numpy as np

from otdist.inputs.arrays import is_torch

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeVar as TypeVarWithDefault

    V_co = TypeVarWithDefault("V_co", bound=float | Tensor, default=float | Tensor, covariant=True)
else:
    V_co = TypeVar("V_co", covariant=True)
N = TypeVar("N", bound="Number")
T = TypeVar("T")


def _make_operator(function: Callable[[Any, Any], Any], *, reflected: bool = False) -> Any:
    """Operator on the value: float with float, tensor wherever one of the two is a tensor."""

    def operate(self: Number, other: object) -> Any:
        other = other.value if isinstance(other, Number) else other
        value = self.value if is_torch(self.value) else float(self)
        if is_torch(value) and not is_torch(other):
            if not isinstance(other, Real):  # an array, a column of a table: they hold no graph
                value = float(self)
            elif not isinstance(other, int | float):  # torch knows no fractions
                other = float(other)
        return function(other, value) if reflected else function(value, other)

    return operate


def _comparison(function: Callable[[Any, Any], Any]) -> Any:
    """Comparison of the float, with arrays and scalars of numpy as well, which leave it to us."""
    of_floats = getattr(float, f"__{function.__name__}__")

    def compare(self: Number, other: object) -> Any:
        if isinstance(other, np.ndarray | np.generic):
            return function(float(self), other)
        return of_floats(self, other)

    return compare


class Number(float, Generic[V_co]):
    """A float that knows a ``value`` beside it: the same number, or a 0-d tensor with its graph.

    Comparison, order, hash, rounding, format and conversion are those of the float. The operators
    ``+ - * / // % ** divmod`` are those of ``value``, so that a tensor keeps its graph.

    Subclasses hand ``value`` and their other fields, by name, to ``__init__``; fields cannot be assigned to.
    They are not dataclasses: tables and serialisers take those apart, where they should see a number.
    """

    value: V_co
    # numpy's scalars and arrays leave their operators to ours, which know about graphs.
    __array_priority__ = 1000

    def __new__(cls, value: float | Tensor, *fields: object, **named: object) -> Any:
        """Take the number out of the value.

        A number alone is converted to a plain float: functions such as ``statistics.mean`` call the type of
        what they were given to convert what they computed.
        """
        number = float(value.detach() if is_torch(value) else value)
        return super().__new__(cls, number) if fields or named else number

    def __init__(self, **fields: object) -> None:
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    if TYPE_CHECKING:  # with a tensor, its own operators give a tensor

        def __add__(self, other: float, /) -> V_co: ...
        def __radd__(self, other: float, /) -> V_co: ...
        def __sub__(self, other: float, /) -> V_co: ...
        def __rsub__(self, other: float, /) -> V_co: ...
        def __mul__(self, other: float, /) -> V_co: ...
        def __rmul__(self, other: float, /) -> V_co: ...
        def __truediv__(self, other: float, /) -> V_co: ...
        def __rtruediv__(self, other: float, /) -> V_co: ...
        def __floordiv__(self, other: float, /) -> V_co: ...
        def __rfloordiv__(self, other: float, /) -> V_co: ...
        def __mod__(self, other: float, /) -> V_co: ...
        def __rmod__(self, other: float, /) -> V_co: ...
        def __pow__(self, other: float, modulus: None = None, /) -> V_co: ...
        def __rpow__(self, other: float, modulus: None = None, /) -> V_co: ...
    else:
        __add__, __radd__ = _make_operator(operator.add), _make_operator(operator.add, reflected=True)
        __sub__, __rsub__ = _make_operator(operator.sub), _make_operator(operator.sub, reflected=True)
        __mul__, __rmul__ = _make_operator(operator.mul), _make_operator(operator.mul, reflected=True)
        __truediv__, __rtruediv__ = (
            _make_operator(operator.truediv),
            _make_operator(operator.truediv, reflected=True),
        )
        __floordiv__, __rfloordiv__ = (
            _make_operator(operator.floordiv),
            _make_operator(operator.floordiv, reflected=True),
        )
        __mod__, __rmod__ = _make_operator(operator.mod), _make_operator(operator.mod, reflected=True)
        __pow__, __rpow__ = _make_operator(operator.pow), _make_operator(operator.pow, reflected=True)

    def __divmod__(self, other: float) -> tuple[V_co, V_co]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    if TYPE_CHECKING:

        def __lt__(self, other: float, /) -> bool: ...
        def __le__(self, other: float, /) -> bool: ...
        def __gt__(self, other: float, /) -> bool: ...
        def __ge__(self, other: float, /) -> bool: ...
        def __eq__(self, other: object, /) -> bool: ...
        def __ne__(self, other: object, /) -> bool: ...
        def __hash__(self) -> int: ...
    else:
        __lt__, __le__ = _comparison(operator.lt), _comparison(operator.le)
        __gt__, __ge__ = _comparison(operator.gt), _comparison(operator.ge)
        __eq__, __ne__ = _comparison(operator.eq), _comparison(operator.ne)
        __hash__ = float.__hash__

    def __neg__(self) -> Any:
        return -self.value if is_torch(self.value) else -float(self)

    def __pos__(self) -> Any:
        return +self.value if is_torch(self.value) else float(self)

    def __abs__(self) -> Any:
        return abs(self.value) if is_torch(self.value) else abs(float(self))

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., object],
        types: object,
        args: Iterable[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> Any:
        """Stand for the value in functions of torch: as a float, its graph would be lost in silence."""
        del types
        return function(*map(_with_values, args), **{k: _with_values(v) for k, v in (kwargs or {}).items()})

    def __copy__(self) -> Self:
        """Copy that shares everything, the graph included."""
        return self._with_state(self.__dict__)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Copy that shares nothing; a tensor comes without its graph, which torch cannot copy."""
        return self._with_state(copy.deepcopy(_detach_state(self.__dict__), memo))

    def __replace__(self, **changes: object) -> Self:
        """Copy with other fields, for ``copy.replace``; values computed from fields are not copied."""
        fields = {k: v for k, v in self.__dict__.items() if not _is_computed(type(self), k)}
        new: Self = type(self)(**fields | changes)
        return new

    def __getnewargs__(self) -> tuple[float, None]:  # type: ignore[override]
        """Arguments of ``__new__`` for pickle: two, since a number alone stays a float."""
        return float(self), None

    def __getstate__(self) -> dict[str, object]:
        """Fields and what was computed from them, as far as another process can read it."""
        return _detach_state(self.__dict__)

    def _with_state(self, state: dict[str, object]) -> Self:
        new = float.__new__(type(self), float(self))
        new.__dict__.update(state)
        return new


def change(number: N, **changes: object) -> N:
    """Copy of a Number with other fields."""
    return number.__replace__(**changes)


def _is_computed(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), cached_property)


def constant(value: T) -> T:
    """Return the argument: with ``partial``, a maker of what was made before."""
    return value


def can_pickle(value: object) -> bool:
    """Whether another process can read a value; its arrays, which can always be, are not written for it."""
    try:
        _Trial(io.BytesIO(), pickle.HIGHEST_PROTOCOL).dump(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


class _Trial(pickle.Pickler):
    """Pickler that leaves out the numbers of arrays and tensors."""

    def persistent_id(self, value: object) -> int | None:
        """Stand-in for a value that holds numbers only."""
        return 0 if is_torch(value) or (isinstance(value, np.ndarray) and value.dtype != object) else None


def _with_values(args: object) -> object:
    """Arguments of a function of torch with the value in place of each Number."""
    if isinstance(args, Number):
        return args.value if is_torch(args.value) else float(args)
    if isinstance(args, tuple | list) and type(args) in (tuple, list):
        return type(args)(map(_with_values, args))
    return args


def _detach_state(state: dict[str, object]) -> dict[str, object]:
    value = state["value"]
    return state | ({"value": value.detach().clone()} if is_torch(value) else {})
