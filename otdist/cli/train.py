"""``otdist train``: a generator of points like those of a file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from otdist.cli.app import FAILED, INTERRUPTED, Flag, Names, Whole, app
from otdist.cli.shell import complain, dumped, require_folder, shell_errors
from otdist.errors import InputError

WORDS = {"true": True, "false": False, "none": None}
SAMPLES = {".npy": ".npy", ".npz": ".npy", ".parquet": ".parquet"}  # what is made of a kind of file; else CSV


@app.command
def train(
    data: str,
    /,
    *,
    steps: Whole | None = None,
    max_seconds: float | None = None,
    out: Path | None = None,
    resume: Flag = False,
    seed: Whole | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())] = None,
    columns: Names = None,
    nan_policy: Literal["raise", "omit"] = "raise",
    device: str = "auto",
    sample: Whole | None = None,
    html: Path | None = None,
    json: Flag = False,
) -> int:
    """Train a Wasserstein GAN on the rows of a file, and say how far it is from data kept aside.

    Exit status: 0; 2 if it cannot be trained; 130 after Ctrl-C, once the run is saved.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, NPY or NPZ file: one point a row; images in NPY or NPZ.
    steps
        Steps of the generator. Default: 20,000, or fewer if nothing more is gained.
    max_seconds
        Time for training.
    out
        Folder for the run: checkpoint, log and samples.
    resume
        Go on with the run in that folder.
    seed
        Same seed, same bytes. Default: 0.
    settings
        Settings as NAME=VALUE, such as n_critic=5 constraint=gp.
    columns
        Columns to train on. Default: all.
    nan_policy
        What to do with rows that have missing values.
    device
        auto, cpu, cuda, ...
    sample
        Also write so many fresh points into the folder.
    html
        Also write a report page.
    json
        Print JSON.
    """
    from otdist.tables.files import read_file

    require_folder(html)
    if sample is not None and (out is None or sample < 1):
        what = "needs a folder to write to" if out is None else f"{sample} is no number of points"
        raise InputError("--sample", what, "pass --out FOLDER" if out is None else "use 1 or more")
    fit_wgan = _trainer()
    options = dict(_parsed(text) for text in settings or [])
    names = {"data": data, "folder": "--out"} | {name: f"--set {name}" for name in options}
    try:
        with shell_errors(names):
            rows = _rows(read_file(data), columns, omit=nan_policy == "omit")
            run = fit_wgan(
                rows,
                steps=steps,
                max_seconds=max_seconds,
                seed=seed,
                folder=out,
                resume=resume,
                progress=sys.stderr.isatty(),
                device=device,
                **options,
            )
    except KeyboardInterrupt:  # the second one; the first waits for the end of a step
        complain("stopped at once" + ("" if out is None else f"; {out} holds the run as of its last check"))
        return INTERRUPTED
    files = {} if out is None else {"run": str(out.absolute())}
    if sample is not None and out is not None:
        files["samples"] = str(_write_samples(out, data, run, sample).absolute())
    if html is not None:
        files["report"] = str(run.report(html, name=Path(data).name))
    _show(run, files, as_json=json)
    return INTERRUPTED if run.interrupted else FAILED if run.diverged else 0


def _trainer() -> Callable[..., Any]:
    """``fit_wgan``, or an error that says what to install."""
    try:
        import safetensors  # noqa: F401  without which nothing could be saved

        from otdist.learn import fit_wgan
    except ImportError as error:
        raise InputError("train", "needs torch", 'pip install "otdist[torch]"') from error
    return fit_wgan


def _parsed(text: str) -> tuple[str, Any]:
    """Name and value of NAME=VALUE; what is neither number nor true, false, none is a word."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise InputError("--set", f"{text!r} is no setting", "write NAME=VALUE, such as n_critic=5")
    if value.lower() in WORDS:
        return name, WORDS[value.lower()]
    try:
        number = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
    return name, number if isinstance(number, int | float) else value


def _rows(table: Any, columns: list[str] | None, *, omit: bool) -> Any:
    """Return the chosen columns, and with ``omit`` only rows without missing values."""
    from otdist.arrays import read

    named = hasattr(table, "column_names")
    if columns is not None:
        if not named:
            raise InputError("columns", "need a table, and this is an array", "leave them out")
        unknown = [name for name in columns if name not in table.column_names]
        if unknown or not columns:
            what = f"there is no {unknown[0]!r}" if unknown else "none is named"
            raise InputError("columns", what, f"choose from {table.column_names}")
        table = table.select(columns)
    values = read(table if named else np.reshape(table, (len(table), -1)), "data").values
    whole = np.asarray(~np.isnan(values).any(1))
    if not (omit or whole.all()):
        row = int(np.argmin(whole))
        raise InputError("data", f"row {row} has missing values", "pass --nan-policy omit, or fill them in")
    if not whole.all():
        complain(f"{(~whole).sum():,} of {len(whole):,} rows have missing values and are left out")
    return table.filter(whole) if named else table[whole]


def _write_samples(folder: Path, data: str, run: Any, count: int) -> Path:
    """Fresh points in the kind of file that the data came in."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    name = data.partition(".npz:")[0] + ".npz" if ".npz:" in data else data
    path = folder / f"samples{SAMPLES.get(Path(name).suffix.lower(), '.csv')}"
    points = run.sample(count)
    if path.suffix == ".npy":
        np.save(path, points)
        return path
    table = pa.table(dict(zip(run.columns, points.T, strict=True)))
    (parquet.write_table if path.suffix == ".parquet" else csv.write_csv)(table, path)
    return path


def _show(run: Any, files: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        last = run.history[-1].to_dict() if run.history else None
        alarms = [alarm.to_dict() for alarm in run.alarms]
        record = {"check": last, "alarms": alarms, "interrupted": run.interrupted, "files": files}
        print(dumped(record | {"card": run.card}))
        return
    print(run)
    for what, path in files.items():
        print(f"{what.capitalize()}: {path}")
