"""Help of the command line: order of the commands, examples and shell completion."""

from __future__ import annotations

from cyclopts import App

# Other commands follow these.
COMMAND_EXAMPLES: dict[str, tuple[str, ...]] = {
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
FIRST_EXAMPLES = (
    "otdist demo",
    "otdist compare reference.csv current.csv --html report.html",
    "otdist w1 a.npy b.npy",
)
HELP_FOOTER = "otdist COMMAND --help shows the options of a command, with examples."


def add_guide(app: App) -> None:
    """Order the commands of an app, and add their examples.

    Parameters
    ----------
    app : App
        App with all of its commands.
    """
    app.help_epilogue = f"{_format_examples(FIRST_EXAMPLES)}\n\n{HELP_FOOTER}"
    for place, (name, lines) in enumerate(COMMAND_EXAMPLES.items()):
        app[name].sort_key = place
        app[name].help_epilogue = _format_examples(lines)
    app.register_install_completion_command(
        help="Install completion of commands and options for bash, zsh or fish.",
        sort_key=len(COMMAND_EXAMPLES),
    )
    for place, flag in enumerate(("--help", "--version"), len(COMMAND_EXAMPLES) + 1):
        app[flag].sort_key = place


def _format_examples(examples: tuple[str, ...]) -> str:
    """Format examples in Markdown, one per line."""
    return "\n".join(f"{line}  " for line in ("Examples:", *examples))
