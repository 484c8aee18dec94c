"""Generator of encoded tables and of points of given classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  torch's own name for it

from otdist.learn.wgan.columns.numbers import NumberCodec
from otdist.typing import Array, Index, Mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from otdist.learn.wgan.columns.classes import Classes
    from otdist.learn.wgan.columns.encoder import TableEncoder
    from otdist.learn.wgan.real import Scale

MIN_STEP_SPREADS = 0.01  # steps of numbers below which points are not rounded to them
MAX_STEP_COUNT = 2.0**20  # steps from the mean up to which float32 rounds right
MIN_UNIFORM = 1e-6  # least distance of random numbers from 0 and 1, where the logistic quantile is infinite
ABSENT_LOGIT = -1e9  # of levels that fill up shorter columns; finite, since buffers are averaged


@dataclass(frozen=True, eq=False)
class Assembly:
    """Parts around the network of a generator: the correction of its points, and classes.

    Attributes
    ----------
    encoder : TableEncoder or None
        Encoder of a table.
    classes : Classes or None
        Classes of the rows.
    scale : Scale
        Scale of the encoded points, with the columns of the classes last.
    """

    encoder: TableEncoder | None
    classes: Classes | None
    scale: Scale

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 if the generator has none."""
        return 0 if self.classes is None else self.classes.count

    def wrap(self, network: nn.Module, latent: int) -> nn.Module:
        """Return a generator whose points have the levels of the data, and their classes appended."""
        head = None
        if self.encoder is not None and needs_head(self.encoder):
            head = TableHead(self.encoder, self.scale)
        if head is None and self.classes is None:
            return network
        return AssembledGenerator(network, latent, head, self.classes)


def needs_head(encoder: TableEncoder) -> bool:
    """Return whether points of a network must be corrected: for labels, gaps, and whole numbers."""
    return any(not isinstance(codec, NumberCodec) or codec.gaps or codec.step for codec in encoder.codecs)


class AssembledGenerator(nn.Module):
    """Network with corrections of its points and with classes.

    Its input has the latent numbers, normal numbers for the choice of levels, and one for the class: the
    class is the quantile of that number. Whatever draws normal numbers therefore draws classes with their
    shares, on all devices and in all processes alike.
    """

    def __init__(
        self, network: nn.Module, latent: int, head: TableHead | None, classes: Classes | None
    ) -> None:
        super().__init__()
        self.network = network
        self.latent = latent
        self.head = head
        self.has_classes = classes is not None
        n_noise = 0 if head is None else head.n_noise
        self.n_inputs: int = latent + n_noise + int(self.has_classes)
        if classes is not None:
            self.label_scale = classes.scale
            bounds = torch.from_numpy(np.cumsum(classes.shares)[:-1]).float()
            self.register_buffer("bounds", bounds, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """Return points (n, d) on the scale of the networks."""
        inputs = z[:, : self.latent]
        if self.has_classes:
            one_hot = self._classes(z[:, -1]).to(z.dtype)
            inputs = torch.cat([inputs, one_hot], dim=1)
        points = self.network(inputs).flatten(1)
        if self.head is not None:
            points = self.head(points, z[:, self.latent : self.latent + self.head.n_noise])
        if not self.has_classes:
            return points
        return torch.cat([points, self.label_scale * one_hot.to(points.dtype)], dim=1)

    def _classes(self, z: Tensor) -> Tensor:
        """Return the one-hot codes of the classes whose quantiles are given."""
        bounds = self.get_buffer("bounds")
        codes = torch.bucketize(torch.special.ndtr(z.float()), bounds, right=True)
        return F.one_hot(codes, len(bounds) + 1)


def class_quantiles(classes: Classes, codes: Index) -> Tensor:
    """Return the input that makes the generator give points of the classes: the middle of their quantiles."""
    upper = np.cumsum(classes.shares)
    middle = torch.from_numpy(upper - classes.shares / 2)
    return torch.special.ndtri(middle)[torch.from_numpy(codes)].float()


class TableHead(nn.Module):
    """Last layer of a generator of tables: levels, gaps and whole numbers, with the gradients of soft ones.

    Numbers of the network at levels are logits, to which the logarithms of the shares of the data are added.
    A level is drawn by the Gumbel trick; forward it is hard, backward it is the softmax of the same numbers
    (straight through). In the place of a gap stands the number that the encoder fills in.

    Source: Jang, Gu, Poole (2017), "Categorical reparameterization with Gumbel-softmax".
    """

    def __init__(self, encoder: TableEncoder, scale: Scale) -> None:
        super().__init__()
        groups, lone, gaps, steps = _find_blocks(encoder, scale)
        members = np.array([k for group in groups for k in group], dtype=np.int64)
        # Columns of labels have different numbers of levels: shorter ones are filled up.
        width = max((len(group) for group in groups), default=0)
        padded = np.full((len(groups), width), -1, dtype=np.int64)
        for row, group in enumerate(groups):
            padded[row, : len(group)] = np.searchsorted(members, group)
        shares = np.clip(scale.centre, 1e-6, 1 - 1e-6)
        self.n_noise = len(members) + len(lone)
        for name, values in {
            "members": members,
            "member_logits": np.log(shares[members]).astype(np.float32),
            "padded": padded.clip(0),
            "padding": np.where(padded < 0, ABSENT_LOGIT, 0.0).astype(np.float32),
            "places": np.flatnonzero(padded >= 0),
            "lone": lone,
            "lone_logits": np.log(shares[lone] / (1 - shares[lone])).astype(np.float32),
            "gap_values": gaps[:, 0].astype(np.int64),
            "gap_indicators": gaps[:, 1].astype(np.int64),
            "gap_fills": gaps[:, 2].astype(np.float32),
            "rounded": steps[:, 0].astype(np.int64),
            "steps": steps[:, 1].astype(np.float32),
            "offsets": steps[:, 2].astype(np.float32),
            "centre": scale.centre[: encoder.d].astype(np.float32),
            "unit": scale.unit[: encoder.d].astype(np.float32),
        }.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)), persistent=False)

    def forward(self, points: Tensor, noise: Tensor) -> Tensor:
        """Return points (n, d) with hard levels; ``noise``: normal numbers (n, n_noise)."""
        b: dict[str, Tensor] = dict(self.named_buffers())
        points = points.float()
        uniform = torch.special.ndtr(noise.float()).clamp(MIN_UNIFORM, 1 - MIN_UNIFORM)
        n_members, out = len(b["members"]), points
        if len(b["rounded"]):
            columns = b["rounded"]
            free = points.index_select(1, columns)
            whole = ((free - b["offsets"]) / b["steps"]).round() * b["steps"] + b["offsets"]
            out = out.index_copy(1, columns, _pass_through(whole, free))
        if n_members:
            gumbel = -(-uniform[:, :n_members].log()).log()
            logits = points.index_select(1, b["members"]) + b["member_logits"] + gumbel
            padded = logits.index_select(1, b["padded"].flatten()).unflatten(1, b["padded"].shape)
            soft = (padded + b["padding"]).softmax(dim=2)
            hard = (soft == soft.amax(dim=2, keepdim=True)).float()
            levels = _pass_through(hard, soft).flatten(1).index_select(1, b["places"])
            out = self._set_levels(out, b["members"], levels)
        if len(b["lone"]):
            logistic = torch.logit(uniform[:, n_members:])
            soft = (points.index_select(1, b["lone"]) + b["lone_logits"] + logistic).sigmoid()
            out = self._set_levels(out, b["lone"], _pass_through((soft > 0.5).float(), soft))
        if len(b["gap_values"]):
            values, indicators = b["gap_values"], b["gap_indicators"]
            missing = out.index_select(1, indicators) * b["unit"][indicators] + b["centre"][indicators]
            filled = torch.lerp(out.index_select(1, values), b["gap_fills"].expand_as(missing), missing)
            out = out.index_copy(1, values, filled)
        return out

    def _set_levels(self, points: Tensor, columns: Tensor, levels: Tensor) -> Tensor:
        """Return points with levels at some columns, on the scale of the networks."""
        centre, unit = self.get_buffer("centre"), self.get_buffer("unit")
        return points.index_copy(1, columns, (levels - centre[columns]) / unit[columns])


def _pass_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Return hard values with the gradient of soft ones."""
    return soft + (hard - soft).detach()


def _find_blocks(
    encoder: TableEncoder, scale: Scale
) -> tuple[list[list[int]], NDArray[np.int64], Array, Array]:
    """Return groups of one-hot columns, lone indicators, gaps and steps of an encoder."""
    groups: list[list[int]] = []
    lone: list[int] = []
    gaps: list[tuple[float, ...]] = []
    steps: list[tuple[float, ...]] = []
    for codec, start in zip(encoder.codecs, encoder.starts, strict=True):
        width = len(codec.names)
        if not isinstance(codec, NumberCodec):
            if width == 1:
                lone.append(start)
            elif width:
                groups.append(list(range(start, start + width)))
            continue
        centre, unit = float(scale.centre[start]), float(scale.unit[start])
        if codec.gaps:
            lone.append(start + 1)
            gaps.append((start, start + 1, (codec.fill - centre) / unit))
        reach = max(abs(codec.high - centre), abs(codec.low - centre))
        if codec.step > MIN_STEP_SPREADS * unit and reach < MAX_STEP_COUNT * codec.step:
            origin = np.rint(centre / codec.step) * codec.step
            steps.append((start, codec.step / unit, (origin - centre) / unit))
    return (
        groups,
        np.array(lone, dtype=np.int64),
        np.array(gaps, dtype=np.float64).reshape(-1, 3),
        np.array(steps, dtype=np.float64).reshape(-1, 3),
    )


def level_columns(encoder: TableEncoder) -> tuple[Mask, Array]:
    """Return for each number of a point whether it is a level, and its factor of the common unit.

    A lone indicator moves by 1 where a one-hot code moves by the root of 2: its unit is smaller by that.
    """
    is_level, factor = np.zeros(encoder.d, dtype=bool), np.ones(encoder.d)
    for codec, start in zip(encoder.codecs, encoder.starts, strict=True):
        end = start + len(codec.names)
        is_level[end - codec.level_width : end] = True
        if codec.level_width == 1:
            factor[end - 1] = np.sqrt(0.5)
    return is_level, factor
