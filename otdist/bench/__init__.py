"""Accuracy against cost: methods, problems with known answers, and a measuring of one by the other."""

from otdist.bench.methods import METHODS
from otdist.bench.questions import Question, question
from otdist.bench.runs import run
from otdist.bench.table import Runs

__all__ = ["METHODS", "Question", "Runs", "question", "run"]
