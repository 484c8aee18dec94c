"""Command line of a small benchmark: measure row by row, print and save, or print what was saved."""

import argparse
import sys

import numpy as np

from benchmarks.common.harness import load, paired, save, summary


def read_options(about, **settings):
    """Options of the command line, each with its default and what it is; and ``--table``."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawTextHelpFormatter)
    for setting, (usual, text) in (settings | {"table": (False, "print what was measured before")}).items():
        kind = {"action": "store_true"} if usual is False else {"type": type(usual), "metavar": "VALUE"}
        parser.add_argument(f"--{setting.replace('_', '-')}", default=usual, help=text, **kind)
    return parser.parse_args()


def run_script(name, about, measure, line, *, head="", field=None, keep=lambda options: True, **settings):
    """Print and save what ``measure(options)`` yields: rows, or pairs of a name and a row.

    ``settings`` are options of the command line; with a ``field`` they are saved, too, and the rows under
    that name. ``keep(options)`` says whether to save.
    """
    options, found = read_options(about, **settings), []
    if options.table:
        saved = load(name)[field] if field else load(name)
        print(*[head] * bool(head), *map(line, saved.items() if isinstance(saved, dict) else saved), sep="\n")
        return
    for row in measure(options):
        print("" if found or not head else f"{head}\n", line(row), sep="", flush=True)
        found.append(row)
    if found and keep(options):
        rows = dict(found) if isinstance(found[0], tuple) else found
        given = {setting: getattr(options, setting) for setting in settings}
        print(save(name, given | {field: rows} if field else rows))


def run_one_of(about, studies, name, **settings):
    """Run the study that the first argument names: what run_script takes, and defaults of settings."""
    if sys.argv[1:2] and sys.argv[1] in studies:
        study = sys.argv.pop(1)
        measure, line, field, *usual = studies[study]
        given = zip(settings, zip(usual, settings.values(), strict=True), strict=True)
        run_script(name.format(study), about, measure, line, field=field, **dict(given))
    else:
        sys.exit(f"{about}\nThe first argument must be one of {', '.join(studies)}.")


def contest(contestants, runs, same=True):
    """Seconds of contestants in turn, with ratios to the first; ``same``: all must give the same number."""
    values = [get_number(answer()) for answer in contestants.values()] if same else []
    assert not same or np.ptp(values) < 1e-9, values
    return summary(paired(contestants, runs), next(iter(contestants)))


def get_number(answer):
    """The value of an answer, or the first of several."""
    return float(np.ravel(getattr(answer, "value", answer))[0])


def shorten(row):
    """A row with three digits of its numbers."""
    return str({key: float(f"{x:.3g}") if isinstance(x, float) else x for key, x in row.items()})


def format_contest(question):
    """Seconds of the contestants of a question, and their ratios with the lowest and highest."""
    lines = []
    for name, row in question[1].items():
        told = shorten(row)
        if "ratio" in row:
            low, high = row["ratio_range"]
            told = f"{row['seconds'] * 1e3:9.1f} ms {row['ratio']:7.1f}x [{low:.1f}, {high:.1f}]"
        lines.append(f"{question[0]:42s} {name:36s} {told}")
    return "\n".join(lines)
