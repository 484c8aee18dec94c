"""W1 and W2 between named distributions: formulas where they exist, else a quadrature with a proof.

``shift``, ``normal``, ``gaussian``, ``uniform``, ``exponential`` and ``dirac`` are formulas; ``laws``
brackets W_p between any two distributions on the line. All other methods of otdist are tested against them.
"""

from otdist.closed.bures import gaussian
from otdist.closed.families import dirac, exponential, normal, shift, uniform
from otdist.closed.quadrature import laws

__all__ = ["dirac", "exponential", "gaussian", "laws", "normal", "shift", "uniform"]
