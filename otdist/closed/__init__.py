"""W1 and W2 between named laws: formulas where one exists, a proved quadrature where none does.

``shift``, ``normal``, ``gaussian``, ``uniform``, ``exponential`` and ``dirac`` are formulas; ``laws``
brackets W_p between any two laws on the line. They are what every other method of otdist is held against.
"""

from otdist.closed.bures import gaussian
from otdist.closed.families import dirac, exponential, normal, shift, uniform
from otdist.closed.quadrature import laws

__all__ = ["dirac", "exponential", "gaussian", "laws", "normal", "shift", "uniform"]
