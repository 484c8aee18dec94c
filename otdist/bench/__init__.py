"""Accuracy against cost of methods for W1, on samples and on problems with known answers."""

from otdist.bench.methods import METHODS
from otdist.bench.questions import Question, question
from otdist.bench.runs import run
from otdist.bench.table import Runs

__all__ = ["METHODS", "Question", "Runs", "question", "run"]
