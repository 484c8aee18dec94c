"""What a GPU gives: its tests, times beside the CPU's, and whether the answers are those of the CPU.

Run with ``python -m benchmarks.gpu`` on a machine with CUDA; it ends within nine minutes. Each part runs in a
process of its own with a time limit, and its rows are written as they come: a part that fails or takes too
long is a row with the reason. ``--device cpu --quick`` is a dry run without a GPU, which writes no results.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.harness import RESULTS, save
from otdist.errors import get_reason
from otdist.learn import Critic, SinkhornLoss, W1Loss, fit_wgan
from otdist.learn.wgan.real import RealData
from otdist.learn.wgan.settings import make_settings
from otdist.learn.wgan.state import State, build_state

Row = dict[str, Any]
Call = Callable[[], object]

ROOT = Path(__file__).parents[1]
TOTAL_SECONDS = 520.0
CASE_SECONDS = 5.0  # time for the repeats of one case on both devices
MAX_REPEATS = 15
EXACT, TRAINED = 1e-3, 5e-2  # largest relative differences from the CPU: of one call, after many steps
ROW_MARK = "ROW "


def synchronise(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def time_in_turn(calls: dict[str, tuple[Call, int]], quick: bool) -> dict[str, float]:
    """Median milliseconds of a call by device, in turn; each is called a number of times at once."""
    times: dict[str, list[float]] = {device: [] for device in calls}
    for device, (call, _) in calls.items():  # caches and kernels
        call()
        synchronise(device)
    start = time.perf_counter()
    while not times[next(iter(calls))] or (
        not quick
        and time.perf_counter() - start < CASE_SECONDS
        and len(times[next(iter(calls))]) < MAX_REPEATS
    ):
        for device, (call, count) in calls.items():
            synchronise(device)
            begin = time.perf_counter()
            for _ in range(count):
                call()
            synchronise(device)
            times[device].append((time.perf_counter() - begin) / count * 1e3)
    return {device: statistics.median(values) for device, values in times.items()}


def make_row(name: str, times: dict[str, float], device: str, difference: float, tolerance: float) -> Row:
    """Return a row with the times of both devices, and whether they agree."""
    row: Row = {
        "name": name,
        "cpu_ms": times["cpu"],
        "device_ms": times[f"{device} "],
        "difference": difference,
    }
    return row | {"tolerance": tolerance, "agrees": bool(difference <= tolerance)}


def compare(one: torch.Tensor, other: torch.Tensor) -> float:
    """Relative difference of two tensors, in the norm."""
    one, other = one.detach().cpu().double(), other.detach().cpu().double()
    return float((one - other).norm() / one.norm().clamp_min(1e-30))


def pair_devices(
    device: str, call: Callable[[str], Call], counts: tuple[int, int] = (1, 1)
) -> dict[str, Any]:
    """Return calls on the CPU and on the device; the space keeps the names apart in a dry run."""
    return {"cpu": (call("cpu"), counts[0]), f"{device} ": (call(device), counts[1])}


def measure_critics(device: str, quick: bool) -> Iterator[Row]:
    """Training of critics on two samples."""
    n, d, steps = (200, 4, 5) if quick else (20_000, 32, 300)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(n, d)) + 0.5
    for family in ("anchors", "orthogonal"):
        gaps: dict[str, float] = {}

        def fit(name: str, family: str = family, gaps: dict[str, float] = gaps) -> Call:
            def call() -> None:
                critic = Critic(family=family, steps=steps, device=name, precision="float32").fit(x, y)
                gaps[name] = critic.gaps["test"]

            return call

        times = time_in_turn(pair_devices(device, fit), quick=True)
        difference = abs(gaps[device] - gaps["cpu"]) / abs(gaps["cpu"])
        yield make_row(f"Critic, {family}, {steps} steps", times, device, difference, TRAINED)


W1_LOSSES: dict[str, dict[str, Any]] = {
    "orthogonal": {},
    "anchors": {"family": "anchors"},
    "gp": {"family": "gp"},
    "exact": {"method": "exact"},
    "sliced": {"method": "sliced"},
    "sinkhorn": {"method": "sinkhorn"},
}


def measure_losses(device: str, quick: bool) -> Iterator[Row]:
    """A call of W1Loss with its gradient, by each of its methods."""
    n, d = (24, 4) if quick else (256, 64)
    for name, options in W1_LOSSES.items():
        yield _compare_losses(f"W1Loss, {name}", lambda o=options: W1Loss(**o), (n, d), device, quick)


def measure_sinkhorn(device: str, quick: bool) -> Iterator[Row]:
    """SinkhornLoss with its gradient, and flash-sinkhorn beside it."""
    for n, d in ((32, 3),) if quick else ((1024, 16), (4096, 64)):
        name = f"SinkhornLoss, p = 2, n = {n}, d = {d}"
        yield _compare_losses(name, lambda: SinkhornLoss(p=2, eps_abs=2 * 0.5**2), (n, d), device, quick)
        if device.startswith("cuda"):
            yield _compare_losses(
                f"{name}, triton",
                lambda: SinkhornLoss(p=2, eps_abs=2 * 0.5**2, engine="triton"),
                (n, d),
                device,
                quick,
                on_cpu=lambda: SinkhornLoss(p=2, eps_abs=2 * 0.5**2),
            )
            yield _time_flash(n, d, device, quick)


def _compare_losses(
    name: str,
    make: Callable[[], torch.nn.Module],
    size: tuple[int, int],
    device: str,
    quick: bool,
    on_cpu: Callable[[], torch.nn.Module] | None = None,
) -> Row:
    """Compare value and gradient of the first call, and time later ones."""
    seed = torch.Generator().manual_seed(0)
    x, y = torch.randn(*size, generator=seed), torch.randn(*size, generator=seed) + 0.5
    answers: dict[str, torch.Tensor] = {}

    def prepare(where: str) -> Call:
        loss = (on_cpu if on_cpu and where == "cpu" else make)()
        points, others = x.to(where).requires_grad_(), y.to(where)

        def call() -> None:
            points.grad = None
            value = loss(points, others)
            value.backward()
            if where not in answers:
                gradient = points.grad
                assert gradient is not None
                answers[where] = torch.cat([value.detach().reshape(1), gradient.flatten()])

        return call

    times = time_in_turn(pair_devices(device, prepare), quick)
    return make_row(name, times, device, compare(answers["cpu"], answers[device]), 10 * EXACT)


def _time_flash(n: int, d: int, device: str, quick: bool) -> Row:
    """Time flash-sinkhorn on the same question; its gradient is compared by its direction."""
    name = f"flash-sinkhorn, n = {n}, d = {d}"
    if importlib.util.find_spec("flash_sinkhorn") is None:
        return {"name": name, "reason": "not installed"}
    from flash_sinkhorn import SamplesLoss

    seed = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, d, generator=seed).to(device) for _ in range(2))
    y, gradients = y + 0.5, []
    losses = {
        f"{device} ": SinkhornLoss(p=2, eps_abs=2 * 0.5**2),
        device: SamplesLoss(loss="sinkhorn", blur=0.5, debias=True, half_cost=True),
    }
    calls: dict[str, tuple[Call, int]] = {}
    for place, loss in losses.items():

        def call(loss: Any = loss) -> torch.Tensor:
            points = x.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(loss(points, y), points)
            return gradient

        gradients.append(call().flatten())
        calls[place] = call, 1
    times = time_in_turn(calls, quick)
    cosine = float(torch.nn.functional.cosine_similarity(*gradients, dim=0))
    return {"name": name, "device_ms": times[device], "difference": 1 - cosine, "tolerance": 0.01} | {
        "agrees": cosine > 0.99,
        "reason": f"SinkhornLoss {times[f'{device} ']:.3g} ms; 1 - cosine of the gradients",
    }


def measure_training(device: str, quick: bool) -> Iterator[Row]:
    """Rounds of fit_wgan, a step of the critic and one of the generator, and a whole short run."""
    shapes = [((5,), {}), ((8, 8), {})] if quick else [((64,), {}), ((28, 28), {}), ((3, 32, 32), {})]
    shapes += (
        [((8, 8), {"objective": "relativistic"})] if quick else [((28, 28), {"objective": "relativistic"})]
    )
    options: Row = {"batch_size": 16, "width": 16} if quick else {}
    for shape, more in shapes:
        data = np.random.default_rng(0).normal(size=(64 if quick else 2000, *shape)).astype(np.float32)
        name = f"fit_wgan, {' x '.join(map(str, shape))}{', relativistic' if more else ''}"
        yield _compare_rounds(name, data, options | more, device, quick)
    yield _time_run(data, options, device, quick)


def _compare_rounds(name: str, data: Any, options: Row, device: str, quick: bool) -> Row:
    """Compare the points of the generator after two rounds, and time later ones."""
    answers: dict[str, torch.Tensor] = {}

    def prepare(where: str) -> Call:
        target = torch.zeros((), device=where).device
        real = RealData.of(data, held_out=0.2, scale="auto", seed=0)
        state: State = build_state(make_settings(options, False), real.shape, 0, None, None, target)
        train = real.to(target).train

        def play() -> None:
            state.critic_step(train)
            state.generator_step()

        play()
        play()
        z = torch.randn(64, state.latent, generator=torch.Generator().manual_seed(0)).to(target)
        with torch.no_grad():
            answers[where] = state.generator.eval()(z).flatten(1)
        return play

    counts = (1, 2) if quick else (1, 50)
    times = time_in_turn(pair_devices(device, prepare, counts), quick)
    return make_row(name, times, device, compare(answers["cpu"], answers[device]), TRAINED)


def _time_run(data: Any, options: Row, device: str, quick: bool) -> Row:
    """Time a short run with its checks, and read the peak of the device's memory."""
    steps = 4 if quick else 200
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    run = fit_wgan(
        data, steps=steps, check_every=steps // 2, stop=False, check_points=16, device=device, **options
    )
    milliseconds = (time.perf_counter() - start) * 1e3
    row: Row = {"name": f"fit_wgan, {steps} steps and {len(run.history)} checks", "device_ms": milliseconds}
    if device.startswith("cuda"):
        row["reason"] = f"{torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB on the device at most"
    return row


def run_tests(device: str, quick: bool) -> Iterator[Row]:
    """Tests that are marked cuda."""
    del device
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.cuda" in path.read_text()]
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "-n", "0", "-q", "-p", "no:cacheprovider"]
    files = files[:1] if quick else files
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False, cwd=ROOT)
    counts = {
        word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)
    }
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    row: Row = {"name": "tests marked cuda", "counts": counts, "agrees": done.returncode == 0}
    yield row | {"reason": ", ".join(f"{n} {word}" for word, n in counts.items()) or done.stderr[-300:]}
    yield from ({"name": test, "agrees": False, "reason": "failed"} for test in failed)


PARTS: dict[str, tuple[Callable[[str, bool], Iterator[Row]], float]] = {
    "tests": (run_tests, 150.0),
    "critics": (measure_critics, 90.0),
    "losses": (measure_losses, 90.0),
    "sinkhorn": (measure_sinkhorn, 80.0),
    "training": (measure_training, 110.0),
}


def print_part(part: str, device: str, quick: bool) -> None:
    """Measure a part in this process, and print its rows as they come."""
    try:
        for row in PARTS[part][0](device, quick):
            print(ROW_MARK + json.dumps(row), flush=True)
    except Exception as error:
        row = {"name": "", "agrees": False, "reason": f"{type(error).__name__}: {get_reason(error)}"[:300]}
        print(ROW_MARK + json.dumps(row), flush=True)
        raise


def run_part(part: str, device: str, quick: bool, limit: float) -> list[Row]:
    """Run a part in a process of its own, which is ended after a time."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gpu", "--part", part, "--device", device]
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command + ["--quick"] * quick,
            stdout=output,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )
        reason = ""
        try:
            code = process.wait(max(limit, 1.0))
            reason = f"ended with status {code}" if code else ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            process.wait()
            reason = f"ended after {limit:.0f} s"
        output.seek(0)
        lines = [line for line in output if line.startswith(ROW_MARK)]
    rows = [{"part": part} | json.loads(line.removeprefix(ROW_MARK)) for line in lines]
    has_reason = bool(rows) and rows[-1].get("agrees") is False and not rows[-1]["name"]
    return rows if not reason or has_reason else [*rows, {"part": part, "name": "", "reason": reason}]


def format_row(row: Row) -> str:
    """Return a line of the table."""
    cells = [row["part"], row["name"]]
    cells += [f"{row[key]:.3g}" if key in row else "" for key in ("cpu_ms", "device_ms")]
    cells += [f"{row['cpu_ms'] / row['device_ms']:.3g}" if "cpu_ms" in row else ""]
    cells += [f"{row['difference']:.1e}" if "difference" in row else ""]
    agrees = {True: "yes", False: "**no**"}.get(row.get("agrees", ""), "")
    return " | ".join([*cells, agrees, row.get("reason", "")])


def describe_device(device: str) -> Row:
    """Return the name of the device and the versions that its answers depend on."""
    facts: Row = {"device": device, "cuda": torch.version.cuda, "tf32": torch.backends.cuda.matmul.allow_tf32}
    if device.startswith("cuda"):
        facts["name"] = torch.cuda.get_device_name(device)
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one repeat")
    parser.add_argument(
        "--out", type=Path, help="folder for gpu.json; benchmarks/results for a full run on CUDA"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print_part(options.part, options.device, options.quick)
        return
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("no CUDA device; --device cpu --quick is a dry run")
    is_result = options.device.startswith("cuda") and not options.quick
    folder = options.out or (RESULTS if is_result else None)
    end, rows = time.monotonic() + TOTAL_SECONDS, []
    print("part | name | CPU, ms | device, ms | ratio | difference | agrees | note", flush=True)
    for part in options.parts:
        found = run_part(part, options.device, options.quick, min(PARTS[part][1], end - time.monotonic()))
        rows += found
        print(*map(format_row, found), sep="\n", flush=True)
        if folder:
            save("gpu", {"about": describe_device(options.device), "rows": rows}, folder)


if __name__ == "__main__":
    main()
