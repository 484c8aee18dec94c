"""Critics that are 1-Lipschitz by construction, each with a computed Lipschitz constant."""

from otdist.learn.critics.families.affine import Pieces
from otdist.learn.critics.families.anchors import Anchors
from otdist.learn.critics.families.folds import Folds
from otdist.learn.critics.families.orthogonal import Orthogonal
from otdist.learn.critics.families.orthogonal_conv import OrthogonalConv
from otdist.learn.critics.families.penalised import Penalised
from otdist.learn.critics.families.subspace import Subspace

LIBRARY_CRITICS = (Anchors, Folds, Orthogonal, OrthogonalConv, Pieces, Subspace)  # 1-Lipschitz on flat points

__all__ = ["Anchors", "Folds", "Orthogonal", "OrthogonalConv", "Penalised", "Pieces", "Subspace"]
