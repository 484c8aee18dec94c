"""Every reader of files on damaged and hostile bytes: an InputError, or what the file says, and nothing else.

``python tests/helpers/fuzz_readers.py csv -max_total_time=600`` runs atheris (libFuzzer; ``pip install
atheris``) on one reader, from valid files. A crash is written to the working folder, and repeated by naming
that file. ``tests/tables/test_readers.py`` damages the same files at random, without atheris.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import otdist

TABLE = b"height,date,label\n1.5,2024-01-01,a\n2.5,2024-01-02,b\n,,\n-1e300,2024-02-30,c\n"
LOCAL = "Größe;Preis;Datum;PLZ\n1,5;1.234,50;03.11.2025;01067\n-;12,00;04.11.2025;10115\n"
LINES = b'{"a": 1, "g": "x", "t": "2024-01-01"}\n{"a": null, "g": "y", "t": "2024-01-02"}\n'


@dataclass(frozen=True)
class Reader:
    """A reader, the file it is given, and valid files to start from."""

    file: str
    valid: Any
    read: Any


def _table(path):
    from otdist.tables.columns import read_columns
    from otdist.tables.files import open_file

    read_columns(open_file(str(path)), "reference")


def _points(path):
    from otdist.inputs.arrays import read
    from otdist.tables.files import read_file

    read(read_file(str(path)), "x")


def _parquet_bytes(folder):
    import pyarrow as pa
    from pyarrow import csv, parquet

    parquet.write_table(csv.read_csv(pa.BufferReader(TABLE)), folder / "valid.parquet")
    return (folder / "valid.parquet").read_bytes()


def _feather_bytes(folder):
    import pyarrow as pa
    from pyarrow import csv, feather

    feather.write_feather(csv.read_csv(pa.BufferReader(TABLE)), str(folder / "valid.feather"))
    return (folder / "valid.feather").read_bytes()


def _array_bytes(folder):
    np.save(folder / "valid.npy", np.arange(12.0).reshape(4, 3))
    return (folder / "valid.npy").read_bytes()


def _archive_bytes(folder):
    np.savez_compressed(folder / "valid.npz", x=np.arange(6.0))
    return (folder / "valid.npz").read_bytes()


def _critic_bytes(file):
    def make(folder):
        from otdist.learn import Critic

        x = np.random.default_rng(0).normal(size=(60, 3))
        critic = Critic(family="anchors", anchors=8, steps=2, rng=0, device="cpu").fit(x[:30], x[30:])
        critic.save(folder)
        return (folder / file).read_bytes()

    return make


def _critic(path):
    from otdist.learn import Critic

    Critic.load(path.parent, device="cpu")


def _run_bytes(folder):
    from otdist.learn import fit_wgan

    data = np.random.default_rng(0).normal(size=(80, 2))
    run = fit_wgan(data, steps=2, width=8)
    run.save(folder)
    return (folder / "wgan.safetensors").read_bytes()


def _run(path):
    from otdist.learn import WGAN

    WGAN.load(path.parent)


def _bench_bytes(folder):
    from otdist.bench.table import Runs

    row = {"question": "a", "method": "b", "budget": 1.0, "seed": 0, "status": "ok", "value": 1.0}
    return Runs([row | {"lower": 1.0, "upper": 1.0, "seconds": 1.0}]).save(folder / "valid.json").read_bytes()


def _bench(path):
    from otdist.bench.table import Runs

    Runs.load(path)


READERS = {
    "csv": Reader("table.csv", lambda folder: TABLE, _table),
    "tsv": Reader("table.tsv", lambda folder: TABLE.replace(b",", b"\t"), _table),
    "txt": Reader("table.txt", lambda folder: LOCAL.encode("cp1252"), _table),
    "utf-16": Reader("table.csv", lambda folder: LOCAL.encode("utf-16"), _table),
    "gz": Reader("table.csv.gz", lambda folder: gzip.compress(TABLE), _table),
    "jsonl": Reader("table.jsonl", lambda folder: LINES, _table),
    "feather": Reader("table.feather", _feather_bytes, _table),
    "parquet": Reader("table.parquet", _parquet_bytes, _table),
    "npy": Reader("points.npy", _array_bytes, _points),
    "npz": Reader("points.npz", _archive_bytes, _points),
    "critic.json": Reader("critic.json", _critic_bytes("critic.json"), _critic),
    "critic.safetensors": Reader("critic.safetensors", _critic_bytes("critic.safetensors"), _critic),
    "wgan": Reader("wgan.safetensors", _run_bytes, _run),
    "bench": Reader("runs.json", _bench_bytes, _bench),
}


def read_bytes(reader: Reader, folder: Path, content: bytes) -> bool:
    """Read these bytes; whether they were accepted. Anything but an InputError is raised."""
    path = folder / reader.file
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", otdist.PrecisionWarning)
        try:
            reader.read(path)
        except otdist.InputError:
            return False
    return True


def main() -> None:
    """Run atheris on the reader that is named first."""
    import atheris

    reader = READERS[sys.argv.pop(1)]
    folder = Path(tempfile.mkdtemp())
    seeds = Path(tempfile.mkdtemp())
    for name in [name for name in sys.modules if name.split(".")[0] == "otdist"]:
        del sys.modules[name]
    # All of otdist but compiled code, and nothing else: torch has 70,000 functions.
    with atheris.instrument_imports(include=["otdist"], exclude=["otdist.solvers"]):
        globals()["otdist"] = import_module("otdist")
        content = reader.valid(folder)
        (seeds / "valid").write_bytes(content)
        read_bytes(reader, folder, content)

    def one(content: bytes) -> None:
        read_bytes(reader, folder, content)

    atheris.Setup([*sys.argv, str(seeds)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
