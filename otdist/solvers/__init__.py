"""Solvers by name. A solver is any callable from a Problem to a Result."""

from otdist.solvers.bottleneck import Bottleneck as Bottleneck
from otdist.solvers.circle import Circle as Circle
from otdist.solvers.critic import NeuralDual as NeuralDual
from otdist.solvers.line import Line as Line
from otdist.solvers.linear.dense import Dense as Dense
from otdist.solvers.sinkhorn import Sinkhorn as Sinkhorn
from otdist.solvers.solve import METHODS as METHODS
from otdist.solvers.solve import Solver as Solver
from otdist.solvers.solve import choose as choose
from otdist.solvers.sparse import Sparse as Sparse
