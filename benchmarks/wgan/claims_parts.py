"""Claims: rows to measure, and their table, with a line for all that differ in their seed only."""

from collections.abc import Callable
from typing import NamedTuple

from benchmarks.wgan.rows import grid, is_ok


class Part(NamedTuple):
    """A claim; its name and the title of its table are those of the function that measures a row."""

    rows: list[dict]
    measure: Callable
    head: str
    keys: tuple[str, ...]
    line: str
    prepare: Callable

    def draw(self, rows):
        """Title and table of those rows that did not fail."""
        told = [part for row in rows if is_ok(row) for part in self.prepare(row)]
        line = " | ".join([*(f"{{{key}}}" for key in self.keys), self.line])
        title = self.measure.__doc__.partition(".\n")[0].rstrip(".")
        return f"{title}\n\n{grid(self.head, [line.format(**row) for row in join_seeds(told, self.keys)])}"


def part(rows, head, keys, line, prepare=lambda row: [row]):
    """Make a claim of the function that measures a row of it."""
    return lambda measure: Part(rows, measure, head, keys, line, prepare)


class Seeds(list):
    """Values of several seeds, which are formatted one by one."""

    def __format__(self, spec):
        return ", ".join(format(value, spec) for value in self)


def join_seeds(rows, keys):
    """Values by the name of their entry, and all alarms."""
    groups = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    for key, own in groups.items():
        alarms = {name for row in own for _, name in row.get("alarms", ())}
        told = {name: Seeds(row[name] for row in own) for name in own[0]}
        yield told | dict(zip(keys, key, strict=True)) | {"alarms": ", ".join(sorted(alarms))}
