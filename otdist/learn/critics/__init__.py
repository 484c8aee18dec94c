"""Critics that are 1-Lipschitz by construction, each with a computed Lipschitz constant."""

from otdist.learn.critics.affine import Pieces
from otdist.learn.critics.anchors import Anchors
from otdist.learn.critics.folds import Folds
from otdist.learn.critics.orthogonal import Orthogonal
from otdist.learn.critics.penalised import Penalised
from otdist.learn.critics.subspace import Subspace

__all__ = ["Anchors", "Folds", "Orthogonal", "Penalised", "Pieces", "Subspace"]
