"""Help of the command line: commands in the order in which people need them, examples, completion."""

from __future__ import annotations

from cyclopts import App

# Commands that are not named here come after those that are.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "compare": (
        "otdist compare reference.csv current.csv --html report.html",
        "otdist compare reference.csv current.csv --fail-above 0.5",
    ),
    "w1": ("otdist w1 a.npy b.npy", "otdist w1 a.csv b.csv --tol 0.01 --json"),
    "recommend": ("otdist recommend 50000 3 --tol 0.01",),
    "bench": ("otdist bench a.npy b.npy --budget 20s",),
    "train": ("otdist train points.npy --steps 100 --out run --html run.html",),
    "demo": ("otdist demo",),
    "warmup": ("otdist warmup",),
}
START = (
    "otdist demo",
    "otdist compare reference.csv current.csv --html report.html",
    "otdist w1 a.npy b.npy",
)
MORE = "otdist COMMAND --help shows the options of a command, with examples."


def add_guide(app: App) -> None:
    """Order the commands of an app, and give each its examples.

    Parameters
    ----------
    app : App
        The app with all of its commands.
    """
    app.help_epilogue = f"{_lines(START)}\n\n{MORE}"
    for place, (name, lines) in enumerate(EXAMPLES.items()):
        app[name].sort_key = place
        app[name].help_epilogue = _lines(lines)
    app.register_install_completion_command(
        help="Install completion of commands and options for bash, zsh or fish.", sort_key=len(EXAMPLES)
    )
    for place, flag in enumerate(("--help", "--version"), len(EXAMPLES) + 1):
        app[flag].sort_key = place


def _lines(examples: tuple[str, ...]) -> str:
    """Examples in Markdown, each on a line of its own."""
    return "\n".join(f"{line}  " for line in ("Examples:", *examples))
