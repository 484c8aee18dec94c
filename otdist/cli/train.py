"""``otdist train``: a Wasserstein GAN for the points of a file."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from otdist.cli.app import EXIT_FAILED, EXIT_INTERRUPTED, Flag, Integer, Names, app
from otdist.cli.shell import check_html, dump_json, print_message, shell_errors
from otdist.cli.table_options import select_columns
from otdist.errors import InputError
from otdist.inputs.arguments import check_integer
from otdist.runtime.files import replace_files

if TYPE_CHECKING:
    from otdist.learn import WGAN
    from otdist.tables.files.read import FileTable

SETTING_CONSTANTS = {"true": True, "false": False, "none": None}
SAMPLE_SUFFIXES = {
    ".npy": ".npy",
    ".npz": ".npy",
    ".parquet": ".parquet",
}  # suffix of the samples by suffix of the data; else CSV


@app.command
def train(
    data: str,
    /,
    *,
    steps: Integer | None = None,
    max_seconds: float | None = None,
    out: Path | None = None,
    resume: Flag = False,
    seed: Integer | None = None,
    settings: Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())] = None,
    columns: Names = None,
    y: str | None = None,
    categorical: Names = None,
    nan_policy: Literal["keep", "raise", "omit"] = "keep",
    device: str = "auto",
    sample: Integer | None = None,
    html: Path | None = None,
    json: Flag = False,
) -> int:
    """Train a Wasserstein GAN on the rows of a file, and say how far it is from data kept aside.

    Exit status: 0; 2 if it cannot be trained; 130 after Ctrl-C, once the run is saved.

    Parameters
    ----------
    data
        CSV, TSV, Parquet, NPY or NPZ file: a table of numbers, labels, times and gaps, one point a row;
        images in NPY or NPZ.
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
    y
        Column whose labels are classes, which are an input of the generator.
    categorical
        Columns of numbers that are labels, such as codes.
    nan_policy
        What to do with rows that have missing values. Default: learn the gaps of a table.
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

    check_html(html)
    if sample is not None:
        check_integer(sample, "--sample")
        if out is None:
            raise InputError("--sample", "needs a folder to write to", "pass --out FOLDER")
    fit_wgan = _import_trainer()
    options = dict(_parse_setting(text) for text in settings or [])
    names = {"data": data, "folder": "--out", "y": "--y", "categorical": "--categorical"} | {
        name: f"--set {name}" for name in options
    }
    try:
        with shell_errors(names):
            table = select_columns(read_file(data), columns, data)
            keep = nan_policy == "keep" and not isinstance(table, np.ndarray)
            rows = table if keep else _select_rows(table, omit=nan_policy == "omit")
            run = fit_wgan(
                rows,
                y=y,
                categorical=categorical or (),
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
        print_message(
            "stopped at once" + ("" if out is None else f"; {out} holds the run as of its last check")
        )
        return EXIT_INTERRUPTED
    files = {} if out is None else {"run": str(out.absolute())}
    if sample is not None and out is not None:
        files["samples"] = str(_write_samples(out, data, run, sample).absolute())
    if html is not None:
        files["report"] = str(run.report(html, name=Path(data).name))
    _print_run(run, files, as_json=json)
    return EXIT_INTERRUPTED if run.interrupted else EXIT_FAILED if run.diverged else 0


def _import_trainer() -> Callable[..., Any]:
    """Import ``fit_wgan``; raises InputError if torch or safetensors is not installed."""
    try:
        import safetensors  # noqa: F401  needed to save a run

        from otdist.learn import fit_wgan
    except ImportError as error:
        raise InputError("train", "needs torch", 'pip install "otdist[torch]"') from error
    return fit_wgan


def _parse_setting(text: str) -> tuple[str, float | str | None]:
    """Parse NAME=VALUE; values other than numbers, true, false and none are strings."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise InputError("--set", f"must be NAME=VALUE, got {text!r}", "write it as n_critic=5")
    if value.lower() in SETTING_CONSTANTS:
        return name, SETTING_CONSTANTS[value.lower()]
    try:
        number = ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
    return name, number if isinstance(number, int | float) else value


def _select_rows(table: FileTable, *, omit: bool) -> FileTable:
    """Select the rows without missing values; raises InputError for others unless ``omit``."""
    from otdist.tables.columns import read_columns

    rows = np.reshape(table, (len(table), -1)) if isinstance(table, np.ndarray) else table
    complete = ~np.any([column.missing for column in read_columns(rows, "data")[0].values()], axis=0)
    if not (omit or complete.all()):
        row = int(np.argmin(complete))
        raise InputError("data", f"row {row} has missing values", "pass --nan-policy omit, or fill them in")
    if not complete.all():
        print_message(f"{(~complete).sum():,} of {len(complete):,} rows have missing values and are left out")
    return table[complete] if isinstance(table, np.ndarray) else table.filter(complete)


def _write_samples(folder: Path, data: str, run: WGAN, count: int) -> Path:
    """Write new samples in the file format of the data."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    name = data.partition(".npz:")[0] + ".npz" if ".npz:" in data else data
    path = folder / f"samples{SAMPLE_SUFFIXES.get(Path(name).suffix.lower(), '.csv')}"
    points, content = run.sample(count), BytesIO()
    if path.suffix == ".npy":
        np.save(content, points)
    else:
        assert isinstance(points, pa.Table)
        (parquet.write_table if path.suffix == ".parquet" else csv.write_csv)(points, content)
    replace_files({path: content.getvalue()}, "--out")
    return path


def _print_run(run: WGAN, files: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        last = run.history[-1].to_dict() if run.history else None
        alarms = [alarm.to_dict() for alarm in run.alarms]
        best = None if run.best is None else run.best.to_dict()
        record = {
            "check": last,
            "best": best,
            "alarms": alarms,
            "interrupted": run.interrupted,
            "files": files,
        }
        print(dump_json(record | {"card": run.card}))
        return
    print(run)
    for name, path in files.items():
        print(f"{name.capitalize()}: {path}")
