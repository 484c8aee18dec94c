"""Real data for training: training and held-out points on one scale."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from otdist.errors import InputError
from otdist.inputs.arrays import is_torch, read
from otdist.learn.wgan.columns.classes import LABEL_DISTANCE, Classes, fit_classes, read_labels
from otdist.learn.wgan.columns.encoder import TableEncoder
from otdist.learn.wgan.columns.generator import level_columns
from otdist.learn.wgan.columns.numbers import NumberCodec
from otdist.typing import Array, ColumnInput, Index, TableInput

MIN_POINTS = 32  # fewest points from which some can be held out
BLOCK_ENTRIES = 2**21  # numbers that are converted to float64 at a time
MIN_BLOCK_COLUMNS = 16
MAX_MEMORY_SHARE = 0.5  # largest share of a device's free memory that points may take
CHANNEL_COUNTS = (1, 3, 4)  # of grey, colour, and colour with transparency
MAX_SIDE_PIXELS = 64  # largest side of an image that the networks here suit

LEVEL_SPREAD = 1.0  # mean spread of labels on the scale of the networks, where numbers have spread 1

WGANData: TypeAlias = "TableInput | TensorDataset"
WGANLabels: TypeAlias = "ColumnInput | str"


class DataNote(NamedTuple):
    """Oddity of the data: its cause, and what to do."""

    cause: str
    remedy: str


@dataclass(frozen=True, eq=False)
class Scale:
    """Scaling ``z = (x - centre) / unit`` of each column; ``common`` if all columns have one unit."""

    centre: Array
    unit: Array
    common: bool

    def transform(self, points: Array) -> Tensor:
        """Return points (n, d) as float32 on the scale of the networks."""
        # By exact powers of two first, so that neither difference nor quotient overflows or underflows.
        exponent = -np.frexp(self.unit)[1]
        centre, unit = np.ldexp(self.centre, exponent), np.ldexp(self.unit, exponent)
        scaled = np.empty(points.shape, np.float32)
        for rows in _split(len(points), points.shape[1]):
            scaled[rows] = (np.ldexp(np.asarray(points[rows], np.float64), exponent) - centre) / unit
        return torch.from_numpy(scaled)

    def inverse_transform(self, z: Tensor) -> Array:
        """Return points (n, d) in the caller's units."""
        return np.asarray(z.detach().cpu().double().numpy() * self.unit + self.centre)

    def append_labels(self, classes: Classes) -> Scale:
        """Return the scale of points with the one-hot codes of classes appended."""
        labels = np.full(classes.count, 1 / classes.scale)
        centre = np.concatenate([self.centre, np.zeros(classes.count)])
        return Scale(centre, np.concatenate([self.unit, labels]), self.common)

    def first(self, d: int) -> Scale:
        """Return the scale of the first d columns."""
        return Scale(self.centre[:d], self.unit[:d], self.common)

    @property
    def distance_unit(self) -> float:
        """Unit of distances on this scale; 1 if columns have separate units."""
        return float(self.unit[0]) if self.common else 1.0


@dataclass(frozen=True, eq=False)
class RealData:
    """Training data and held-out data, as points (n, d) on the scale of the networks.

    Attributes
    ----------
    train, heldout : Tensor, shape (n, d), (m, d)
        Points on the scale of the networks.
    scale : Scale
        Scaling of the points.
    shape : tuple of int
        Shape of one point in the input.
    columns : tuple of str or None
        Names of the columns, if the data have any.
    sha256 : str
        Hash of the data, so that a run is not continued on other data.
    notes : tuple of DataNote
        Oddities of the data, and what to do.
    encoder : TableEncoder or None
        Encoder of a table.
    classes : Classes or None
        Classes of the rows, whose one-hot codes are the last columns of the points.
    """

    train: Tensor
    heldout: Tensor
    scale: Scale
    shape: tuple[int, ...]
    columns: tuple[str, ...] | None
    sha256: str
    notes: tuple[DataNote, ...]
    encoder: TableEncoder | None = None
    classes: Classes | None = None

    @classmethod
    def of(
        cls,
        data: WGANData,
        *,
        held_out: float,
        scale: str,
        seed: int,
        y: WGANLabels | None = None,
        categorical: Sequence[str] = (),
    ) -> RealData:
        """Check data, hold out a random share, and scale both parts."""
        source = _read_source(data, y, categorical)
        points = source.points
        order = np.random.default_rng([seed, 0]).permutation(len(points))
        if source.classes is not None:
            order = _interleave(order, source.codes)
        n_heldout = max(round(held_out * len(points)), MIN_POINTS // 4)
        if len(points) - n_heldout < MIN_POINTS // 2:
            n_train = len(points) - n_heldout
            problem = f"must leave {MIN_POINTS // 2} points to train on, {held_out:g} leaves {n_train}"
            raise InputError("held_out", problem, "hold out a smaller share")
        rows = np.sort(order[n_heldout:]), np.sort(order[:n_heldout])
        train = points[rows[0]]
        per_column = scale == "columns" or (scale == "auto" and source.columns is not None)
        if source.encoder is None or source.encoder.is_plain:
            fitted_scale = _fit_scale(train, per_column)
        else:
            fitted_scale = _fit_table_scale(train, source.encoder, per_column)
        classes, codes = source.classes, source.codes
        if classes is not None:
            classes = _fit_label_scale(classes, codes[rows[0]], fitted_scale.transform(train))
            fitted_scale = fitted_scale.append_labels(classes)
            train = _append_codes(train, codes[rows[0]], classes)
        scaled_train = fitted_scale.transform(train)
        del train  # a copy of most of the data
        heldout = points[rows[1]]
        if classes is not None:
            heldout = _append_codes(heldout, codes[rows[1]], classes)
        return cls(
            scaled_train,
            fitted_scale.transform(heldout),
            fitted_scale,
            source.shape,
            source.columns,
            _compute_digest(points, codes),
            tuple(_find_source_oddities(source)),
            source.encoder,
            classes,
        )

    def to(self, device: torch.device) -> RealData:
        """Return the data on a device, or as they are if they take too much of its memory.

        Batches of points that stay on the host are copied for many steps at once.
        """
        if self.train.nbytes + self.heldout.nbytes > MAX_MEMORY_SHARE * free_bytes(device):
            return self
        return replace(self, train=self.train.to(device), heldout=self.heldout.to(device))


@dataclass(frozen=True, eq=False)
class Source:
    """Data as read: points (n, d) in units of the data, and the class of each."""

    points: Array
    shape: tuple[int, ...]
    columns: tuple[str, ...] | None
    encoder: TableEncoder | None
    classes: Classes | None
    codes: Index


def _read_source(data: WGANData, y: WGANLabels | None, categorical: Sequence[str]) -> Source:
    """Read a table, an array of points or images, and the classes of their rows."""
    no_codes = np.zeros(0, dtype=np.intp)
    data = _unpack(data)
    fitted = (
        None if is_torch(data) else TableEncoder.fit(data, categorical, y if isinstance(y, str) else None)
    )
    if fitted is None:
        if categorical:
            raise InputError("categorical", "names columns of a table, got an array", "pass a DataFrame")
        if isinstance(y, str):
            raise InputError("y", f"{y!r} names a column, but data is an array", "pass one label a row")
        points, shape, columns = _read_points(data)
        encoder = None
    else:
        encoder, table_columns, label_column, names, take = fitted
        points = encoder.encode_columns(table_columns)
        _check_size(points)
        shape, columns = points.shape[1:], names
        if label_column is not None:
            codec = fit_classes(label_column, take, f"data[{label_column.name!r}]")
            classes = Classes(codec, None, names.index(codec.name), np.ones(len(codec.labels)), 1.0)
            codes = codec.to_codes(label_column, f"data[{label_column.name!r}]")
            return Source(points, shape, columns, encoder, classes, codes)
    if y is None:
        return Source(points, shape, columns, encoder, None, no_codes)
    codec, container, codes = read_labels(y, len(points))
    classes = Classes(codec, container, None, np.ones(len(codec.labels)), 1.0)
    return Source(points, shape, columns, encoder, classes, codes)


def _interleave(order: Index, codes: Index) -> Index:
    """Sort rows in random order so that the first ones have the classes with their shares."""
    counts = np.bincount(codes)
    ranks = np.empty(len(codes))
    for code in range(len(counts)):
        rows = order[codes[order] == code]
        ranks[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return order[np.argsort(ranks[order], kind="stable")]


def _check_size(values: Array) -> None:
    if len(values) < MIN_POINTS:
        raise InputError("data", f"must have {MIN_POINTS} points or more, got {len(values)}", "give more")


def _read_points(data: WGANData) -> tuple[Array, tuple[int, ...], tuple[str, ...] | None]:
    """Return numbers (n, d), the shape of one point, and the names of columns."""
    columns = None
    if isinstance(data, np.ndarray) or is_torch(data):
        # Images: `read` takes two axes only, so the axes of a point are flattened first.
        shape = tuple(int(k) for k in data.shape[1:])
        values = _keep_precision(data)
        if values is None:
            values = read(data.reshape(len(data), -1) if data.ndim > 1 else data, "data").values
    else:
        table = read(data, "data")
        values, columns, shape = table.values, table.columns, table.values.shape[1:]
    if values.ndim < 2 or 0 in values.shape:
        problem = f"must have shape (n, d) or (n, height, width), got {values.shape}"
        if values.ndim == 1:
            problem += ", which may be labels"
        raise InputError("data", problem, "give points or images; a single column has shape (n, 1)")
    _check_size(values)
    is_large = len(shape) > 1 and max(shape[-2:]) > MAX_SIDE_PIXELS
    if len(shape) > 3 or is_large:
        largest = f"{MAX_SIDE_PIXELS} x {MAX_SIDE_PIXELS}"
        problem = f"must be images of at most {largest}, or flat points, got shape {shape}"
        raise InputError("data", problem, "scale the images down")
    if len(shape) == 3 and shape[2] in CHANNEL_COUNTS and min(shape[:2]) > max(CHANNEL_COUNTS):
        problem = f"must have channels before rows and columns, got images of shape {shape}"
        raise InputError("data", problem, "move the last axis: np.moveaxis(data, -1, 1)")
    finite = np.isfinite(values).all(1)
    if not finite.all():
        row = int(np.argmin(finite))
        remedy = "drop such rows, fill them in, or pass a DataFrame, whose gaps are learned"
        raise InputError("data", f"must be finite, row {row} is not", remedy)
    return values, shape, columns


def _keep_precision(data: Any) -> Array | None:
    """Return float32 or bytes (n, d) as they are, since float64 takes up to 8 times as much, or None."""
    if type(data) is torch.Tensor and not data.requires_grad and data.dtype in (torch.float32, torch.uint8):
        data = data.cpu().numpy()
    if type(data) is not np.ndarray or data.ndim < 2 or not data.size:
        return None
    return data.reshape(len(data), -1) if data.dtype in (np.float32, np.uint8) else None


def _unpack(data: WGANData) -> TableInput:
    """Unpack lists of points and data sets of torch; raises InputError unless they hold points alone."""
    if isinstance(data, TensorDataset) and len(data.tensors) == 1:
        return data.tensors[0]
    if isinstance(data, TensorDataset):
        problem = f"must be points, got a TensorDataset of {len(data.tensors)} tensors"
        raise InputError("data", problem, "pass points and labels: fit_wgan(dataset.tensors[0], y=...)")
    if isinstance(data, Dataset | DataLoader):
        remedy = "pass points and labels as tensors: fit_wgan(torch.stack([x for x, _ in dataset]), y=...)"
        raise InputError("data", f"must be points, got a {type(data).__name__}", remedy)
    if not isinstance(data, list | tuple) or not all(getattr(part, "ndim", 0) for part in data):
        return data
    shapes = {tuple(part.shape) for part in data}
    if len(shapes) > 1 or (len(data) < MIN_POINTS and len(next(iter(shapes), ())) > 1):
        listed = " and ".join(str(tuple(part.shape)) for part in data[:2])
        problem = f"must be one array of points, got a {type(data).__name__} of {len(data)} arrays, {listed}"
        raise InputError("data", problem, "pass points and labels apart: fit_wgan(X, y=y)")
    return torch.stack(list(data)) if all(map(is_torch, data)) else np.stack([np.asarray(v) for v in data])


def _fit_scale(points: Array, per_column: bool) -> Scale:
    centre, spread = _mean_and_spread(points)
    if not spread.max() > 0:
        raise InputError("data", "must have two distinct points, all rows are equal", "give other data")
    if per_column:
        return Scale(centre, np.where(spread > 0, spread, 1.0), False)
    # One unit, the root mean square over columns that vary, so that distances keep their meaning.
    exponent = np.frexp(spread.max())[1]
    scaled = np.ldexp(spread[spread > 0], -exponent)
    unit = float(np.ldexp(np.sqrt(np.square(scaled).mean()), exponent))
    return Scale(centre, np.full(points.shape[1], unit), True)


def _fit_table_scale(points: Array, encoder: TableEncoder, per_column: bool) -> Scale:
    """Return a unit for each number and a common one for levels; their own would blow up rare levels."""
    centre, spread = _mean_and_spread(points)
    if not spread.size or not spread.max() > 0:
        raise InputError("data", "must have two distinct points, all rows are equal", "give other data")
    is_level, factor = level_columns(encoder)
    unit = np.where(spread > 0, spread, 1.0)
    if not per_column and not is_level.all():
        unit[~is_level] = _fit_scale(points[:, ~is_level], per_column=False).unit
    n_blocks = sum(codec.level_width > 0 for codec in encoder.codecs)
    if is_level.any() and spread[is_level].any():
        variance = np.square(spread[is_level] / factor[is_level]).sum() / n_blocks
        unit[is_level] = factor[is_level] * np.sqrt(variance) / LEVEL_SPREAD
    return Scale(centre, unit, False)


def _fit_label_scale(classes: Classes, codes: Index, train: Tensor) -> Classes:
    """Return the classes with their shares, and with their distance relative to that of points."""
    shares = np.bincount(codes, minlength=classes.count) / len(codes)
    if not shares.all():
        label = classes.codec.labels[int(shares.argmin())]
        problem = f"must leave a row of each class to train on, all of {label!r} are held out"
        raise InputError("held_out", problem, "hold out a smaller share")
    spread = float(train.double().var(dim=0, correction=0).sum().sqrt())
    return replace(classes, shares=shares, scale=LABEL_DISTANCE * spread)


def _mean_and_spread(points: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column, at any scale; 0 for constant columns."""
    if points.size > BLOCK_ENTRIES and points.shape[1] > 2 * MIN_BLOCK_COLUMNS:
        blocks = _split(points.shape[1], len(points), MIN_BLOCK_COLUMNS)
        parts = [_mean_and_spread(points[:, columns]) for columns in blocks]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    points = np.asarray(points, np.float64)
    exponents = np.frexp(np.abs(points).max(0))[1]
    scaled = np.ldexp(points, -exponents)  # exact, and squares neither overflow nor underflow
    varies = scaled.max(0) > scaled.min(0)  # mean and spread of a constant column would be rounded
    mean, spread = np.where(varies, scaled.mean(0), scaled[0]), np.where(varies, scaled.std(0), 0.0)
    return np.ldexp(mean, exponents), np.ldexp(spread, exponents)


def _find_source_oddities(source: Source) -> list[DataNote]:
    """Find oddities of data; of a table with labels, those of its numbers."""
    encoder = source.encoder
    if encoder is None:
        return _find_oddities(source.points, None, images=len(source.shape) > 1)
    notes: list[DataNote] = []
    numbers = [
        start
        for codec, start in zip(encoder.codecs, encoder.starts, strict=True)
        if isinstance(codec, NumberCodec)
    ]
    names = tuple(encoder.names[k] for k in numbers)
    if numbers and _mean_and_spread(source.points[:, numbers])[1].any():
        notes = _find_oddities(source.points[:, numbers], names, images=False)
    if not encoder.is_plain:  # labels and rounded numbers are repeated in ordinary tables
        notes = [note for note in notes if note.cause.startswith("constant")]
    empty = [codec.name for codec in encoder.codecs if not codec.names]
    if empty:
        cause = f"columns with one value: {', '.join(empty[:5])}"
        notes.append(DataNote(cause, "leave them out, or check whether a step lost their values"))
    return notes


def _find_oddities(points: Array, columns: tuple[str, ...] | None, *, images: bool) -> list[DataNote]:
    """Find oddities of data that may be mistakes of the caller."""
    spread = _mean_and_spread(points)[1]
    notes: list[DataNote] = []
    constant = np.flatnonzero(spread == 0)
    if (
        len(constant) and len(constant) < points.shape[1] and not images
    ):  # margins of images are often constant
        names = ", ".join(columns[k] if columns else str(k) for k in constant[:5])
        more = f" and {len(constant) - 5} more" if len(constant) > 5 else ""
        remedy = "leave them out, or check whether a step lost their values"
        notes.append(DataNote(f"constant columns: {names}{more}", remedy))
    repeated_share = 1 - _count_distinct(points) / len(points)
    if repeated_share > 0.05:
        remedy = "check whether values were rounded or cast to integers"
        notes.append(DataNote(f"{repeated_share:.0%} of the rows are repeated", remedy))
    elif points.shape[1] > 1 and _are_integers(points) and float(points.max()) <= float(points.min()) + 4:
        notes.append(DataNote("few distinct integers only", "check whether values were cast to integers"))
    with np.errstate(over="ignore"):
        ratio = spread[spread > 0].max() / spread[spread > 0].min()
    if ratio > 1e3 and points.ndim == 2 and columns is None and points.shape[1] <= 64:
        cause = f"columns differ {ratio:.0e}-fold in spread, so the largest dominate"
        notes.append(DataNote(cause, "use scale='columns'"))
    return notes


def _count_distinct(points: Array) -> int:
    """Count distinct rows; those of large data by a hash of 64 bits each, which needs no sorted copy."""
    if points.size <= BLOCK_ENTRIES:
        return len(np.unique(points, axis=0))
    return len({hash((row + 0.0).tobytes()) for row in points})  # -0.0 is 0.0


def _are_integers(points: Array) -> bool:
    return all(np.array_equal(points[rows], np.round(points[rows])) for rows in _split(*points.shape))


def _append_codes(points: Array, codes: Index, classes: Classes) -> Array:
    """Append the one-hot codes of classes to points, in the precision of the points."""
    one_hot = np.eye(classes.count, dtype=points.dtype)[codes]
    return np.concatenate([points, one_hot], axis=1)


def _compute_digest(points: Array, codes: Index) -> str:
    """Compute the hash of the points in float64, and of the codes of their classes."""
    digest = hashlib.sha256()
    for rows in _split(*points.shape):
        digest.update(np.ascontiguousarray(points[rows], np.float64).data)
    digest.update(np.ascontiguousarray(codes, np.int64).data)
    return digest.hexdigest()


def _split(count: int, size: int, at_least: int = 1) -> Iterator[slice]:
    """Split rows of some size each into blocks, so that a block has few entries."""
    n_blocks = max(1, min(count // at_least, math.ceil(count * size / BLOCK_ENTRIES)))
    bounds = [count * k // n_blocks for k in range(n_blocks + 1)]
    return (slice(first, end) for first, end in pairwise(bounds))


def free_bytes(device: torch.device) -> float:
    """Return the free memory of a device; infinite if it is not known."""
    return float(torch.cuda.mem_get_info(device)[0]) if device.type == "cuda" else math.inf
