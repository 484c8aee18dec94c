"""Memory is asked for before it is taken, on any system and under any limit."""

from __future__ import annotations

import resource
import subprocess
import sys

import numpy as np
import pytest

from otdist.errors import BudgetError
from otdist.runtime import budget, limits
from otdist.solvers.linear import pot


@pytest.fixture
def unlimited(monkeypatch):
    """No limit on the process, whatever it was started with."""
    monkeypatch.setattr(limits.resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)


@pytest.fixture
def limit(monkeypatch):
    """Set a limit that the process only reads."""

    def set_limit(**values):
        known = {getattr(resource, name): value for name, value in values.items()}
        infinite = resource.RLIM_INFINITY
        monkeypatch.setattr(limits.resource, "getrlimit", lambda kind: (known.get(kind, infinite), infinite))

    return set_limit


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


class TestRequireMemory:
    def test_small_requests_are_granted_without_looking(self, monkeypatch, unlimited):
        monkeypatch.setattr(budget, "free_memory", lambda: pytest.fail("looked"))
        monkeypatch.setattr(budget, "process_memory", lambda: pytest.fail("looked"))
        budget.require_memory(1000, "a cup of tea", "drink water")

    def test_a_limited_process_needs_room_for_libraries_as_well(self, monkeypatch, limit):
        limit(RLIMIT_AS=10**9)
        mapped = []
        monkeypatch.setattr(budget, "can_map", lambda size: mapped.append(size))
        with pytest.raises(BudgetError, match="a cup of tea needs"):
            budget.require_memory(1000, "a cup of tea", "drink water", max_bytes=10**9)
        assert mapped[0] >= 2**26

    def test_half_of_what_is_free_is_the_limit(self, monkeypatch):
        monkeypatch.setattr(budget, "free_memory", lambda: 2 * 10**9)
        budget.require_memory(10**9, "as much", "none")
        with pytest.raises(BudgetError, match=r"too much needs 1\.1 GB, the budget is 1 GB; take less"):
            budget.require_memory(11 * 10**8, "too much", "take less")

    def test_a_system_that_does_not_say_grants(self, monkeypatch):
        monkeypatch.setattr(budget, "free_memory", lambda: None)
        budget.require_memory(10**15, "a lot", "none")

    def test_small_requests_count_where_the_process_is_limited(self, monkeypatch, limit):
        limit(RLIMIT_AS=10**9)
        monkeypatch.setattr(budget, "process_memory", lambda: 2 * 10**7)
        budget.require_memory(10**7, "as much", "none")
        with pytest.raises(BudgetError, match=r"needs 11 MB, the budget is 10 MB"):
            budget.require_memory(11 * 10**6, "a little more", "take less")

    def test_the_callers_own_limit_is_the_one_that_counts(self, monkeypatch):
        monkeypatch.setattr(budget, "free_memory", lambda: 1)
        budget.require_memory(10**9, "as much", "none", max_bytes=10**9)
        with pytest.raises(BudgetError):
            budget.require_memory(11, "too much", "take less", max_bytes=10)


class TestFreeMemory:
    @pytest.mark.parametrize("least", range(3))
    def test_the_tightest_limit_counts(self, monkeypatch, least):
        for k, name in enumerate(("machine_memory", "group_memory", "process_memory")):
            monkeypatch.setattr(budget, name, lambda k=k: 3 * 10**9 if k == least else 8 * 10**9)
        assert budget.free_memory() == 3 * 10**9

    def test_unknown_limits_are_left_out(self, monkeypatch):
        for name in ("machine_memory", "group_memory", "process_memory"):
            monkeypatch.setattr(budget, name, lambda: None)
        assert budget.free_memory() is None
        monkeypatch.setattr(budget, "group_memory", lambda: 5)
        assert budget.free_memory() == 5

    def test_this_machine_has_memory(self):
        assert budget.free_memory() is None or budget.free_memory() > 10**6


class TestMachine:
    MEMINFO = "MemTotal: 16000 kB\nMemAvailable: 8000 kB\nCommitLimit: 5000 kB\nCommitted_AS: 4000 kB\n"

    def test_what_the_kernel_calls_available(self, tmp_path):
        write(tmp_path, {"proc/meminfo": self.MEMINFO, "proc/sys/vm/overcommit_memory": "0\n"})
        assert limits.machine_memory(tmp_path) == 8000 * 1024

    @pytest.mark.parametrize(("committed", "left"), [(4000, 1000), (6000, 0)])
    def test_without_overcommit_what_is_not_promised(self, tmp_path, committed, left):
        text = self.MEMINFO.replace("4000", str(committed))
        write(tmp_path, {"proc/meminfo": text, "proc/sys/vm/overcommit_memory": "2\n"})
        assert limits.machine_memory(tmp_path) == left * 1024

    def test_without_proc_the_physical_memory(self, tmp_path):
        found = limits.machine_memory(tmp_path)
        assert found is None or found > 10**6


V2 = "30 23 0:26 {top} {mount} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "35 31 0:32 {top} {mount} rw,relatime shared:9 - cgroup cgroup rw,memory\n"
)


class TestGroups:
    """Trees as systems lay them out; sizes in bytes."""

    def test_none(self, tmp_path):
        assert limits.group_memory(tmp_path) is None

    def test_a_container_with_a_namespace(self, tmp_path):
        files = {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2.format(top="/", mount="/sys/fs/cgroup"),
            "sys/fs/cgroup/memory.max": "1000\n",
            "sys/fs/cgroup/memory.current": "400\n",
        }
        write(tmp_path, files)
        assert limits.group_memory(tmp_path) == 600
        write(tmp_path, {"sys/fs/cgroup/memory.max": "max\n"})
        assert limits.group_memory(tmp_path) is None
        write(tmp_path, {"sys/fs/cgroup/memory.max": "300\n"})  # lowered below what is in use
        assert limits.group_memory(tmp_path) == 0

    def test_a_slice_of_its_own_and_all_above_it(self, tmp_path):
        service = "sys/fs/cgroup/user.slice/user-0.slice/run.scope"
        files = {
            "proc/self/cgroup": "0::/user.slice/user-0.slice/run.scope\n",
            "proc/self/mountinfo": V2.format(top="/", mount="/sys/fs/cgroup"),
            f"{service}/memory.max": "900\n",
            f"{service}/memory.current": "100\n",
            "sys/fs/cgroup/user.slice/user-0.slice/memory.max": "max\n",
            "sys/fs/cgroup/user.slice/user-0.slice/memory.current": "600\n",
            "sys/fs/cgroup/user.slice/memory.max": "5000\n",
            "sys/fs/cgroup/user.slice/memory.current": "3000\n",
        }
        write(tmp_path, files)
        assert limits.group_memory(tmp_path) == 800
        write(tmp_path, {"sys/fs/cgroup/user.slice/memory.current": "4700\n"})
        assert limits.group_memory(tmp_path) == 300

    def test_version_1(self, tmp_path):
        folder = "sys/fs/cgroup/memory/docker/0123"
        files = {
            "proc/self/cgroup": "9:cpu,cpuacct:/docker/0123\n4:memory:/docker/0123\n0::/docker/0123\n",
            "proc/self/mountinfo": V1.format(top="/", mount="/sys/fs/cgroup/memory"),
            f"{folder}/memory.limit_in_bytes": "2000\n",
            f"{folder}/memory.usage_in_bytes": "500\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "70000\n",
        }
        write(tmp_path, files)
        assert limits.group_memory(tmp_path) == 1500

    def test_a_container_that_sees_only_its_own_part(self, tmp_path):
        files = {
            "proc/self/cgroup": "4:memory:/docker/0123/job\n",
            "proc/self/mountinfo": V1.format(top="/docker/0123", mount="/sys/fs/cgroup/memory"),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "500\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "800\n",
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "100\n",
        }
        write(tmp_path, files)
        assert limits.group_memory(tmp_path) == 700

    @pytest.mark.parametrize("path", ["/../other", "/elsewhere"])
    def test_a_path_outside_of_the_mount_leaves_the_mount(self, tmp_path, path):
        files = {
            "proc/self/cgroup": f"0::{path}\n",
            "proc/self/mountinfo": V2.format(top="/docker" if "else" in path else "/", mount="/cg"),
            "cg/memory.max": "1000\n",
            "cg/memory.current": "400\n",
        }
        write(tmp_path, files)
        assert limits.group_memory(tmp_path) == 600

    @pytest.mark.parametrize(
        ("mount", "names", "cache"),
        [
            (V2, ("memory.max", "memory.current"), "inactive_file"),
            (V1, ("memory.limit_in_bytes", "memory.usage_in_bytes"), "total_inactive_file"),
        ],
    )
    def test_files_that_are_only_cached_are_free(self, tmp_path, mount, names, cache):
        files = {
            "proc/self/cgroup": "4:memory:/\n0::/\n",
            "proc/self/mountinfo": mount.format(
                top="/", mount="/a\\040b"
            ),  # a space, as the kernel writes it
            f"a b/{names[0]}": "1000\n",
            f"a b/{names[1]}": "900\n",
            "a b/memory.stat": f"anon 500\n{cache} 350\n",
        }
        write(tmp_path, files)
        assert limits.group_memory(tmp_path) == 450


class TestProcess:
    STATUS = "Name:\tpython\nVmPeak:\t 900 kB\nVmSize:\t 600 kB\nVmData:\t 200 kB\n"

    def test_none(self, unlimited, tmp_path):
        assert not limits.process_is_limited()
        assert limits.process_memory(tmp_path) is None

    @pytest.mark.parametrize(
        ("values", "left"),
        [
            ({"RLIMIT_AS": 1000}, 400),
            ({"RLIMIT_DATA": 500}, 300),
            ({"RLIMIT_AS": 1000, "RLIMIT_DATA": 500}, 300),
            ({"RLIMIT_AS": 100}, 0),
        ],
    )
    def test_a_limit_leaves_what_is_not_used(self, limit, tmp_path, values, left):
        write(tmp_path, {"proc/self/status": self.STATUS})
        limit(**{name: 1024 * value for name, value in values.items()})
        assert limits.process_is_limited()
        assert limits.process_memory(tmp_path) == 1024 * left

    def test_what_the_kernel_will_not_map_is_refused(self):
        assert limits.can_map(2**20)
        assert not limits.can_map(2**60)
        with pytest.raises(BudgetError, match=r"a tower needs .* of address space.*; build lower"):
            budget.require_room(2**60, "a tower", "build lower")


def test_pot_is_called_only_where_it_has_room(monkeypatch):
    pytest.importorskip("ot")
    cost, mass = np.ones((200, 300)), (np.ones(200) / 200, np.ones(300) / 300)
    flow, _, _ = pot.network_simplex(*mass, cost, 10**6)
    assert flow.sum() == pytest.approx(1)
    mapped = []
    monkeypatch.setattr(budget, "can_map", lambda size: mapped.append(size))
    with pytest.raises(BudgetError, match="the network simplex on 200 x 300 points needs"):
        pot.network_simplex(*mass, cost, 10**6)
    assert mapped[0] > 24 * cost.size  # what it takes beside the cost, measured


LIMITED = """
import re, resource, sys
import numpy as np, otdist
rng = np.random.default_rng(0)
few, many = rng.normal(size=(2, 30, 2)), rng.normal(size=(2, 5000, 2))
{before}
used = int(re.search(r"{field}:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) * 1024
resource.setrlimit(resource.{kind}, (used + {spare} * 2**20,) * 2)
try:
    print({call})
except MemoryError as error:
    print(type(error).__name__, error)
    print(otdist.w1([0.0, 1.0], [2.0, 3.0]).value)  # the process lives on
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
@pytest.mark.parametrize(
    ("call", "before", "kind", "spare", "message"),
    [
        # Each ended the process (SIGABRT or exit), did not end, or raised OSError or SystemError.
        ("otdist.w1(*few, method='dense')", "", "RLIMIT_AS", 60, "loading the libraries for method 'dense'"),
        ("otdist.w1(*many, method='dense')", "", "RLIMIT_AS", 300, "method 'dense' on 5000 x 5000 points"),
        ("otdist.sliced_w1(*few)", "", "RLIMIT_AS", 20, "loading the libraries for 1000 directions"),
        ("otdist.w1(*few, method='sparse')", "", "RLIMIT_AS", 250, "loading numba needs"),
        ("otdist.w1(*few, method='sinkhorn')", "", "RLIMIT_AS", 100, "loading numba needs"),
        (
            "otdist.w1(*few, method='sparse')",
            "import numba, scipy.spatial.distance",
            "RLIMIT_AS",
            100,
            "compiling '",
        ),
        (
            "otdist.w1(*many, metric=otdist.metrics.minkowski(3), method='sparse')",
            "import numba",
            "RLIMIT_DATA",
            270,
            "method 'sparse' on 5000 x 5000 points needs",
        ),
    ],
    ids=["load scipy", "dense", "BLAS", "load numba", "sinkhorn", "compile", "data"],
)
def test_a_limit_ends_in_an_error(call, before, kind, spare, message):
    field = {"RLIMIT_AS": "VmSize", "RLIMIT_DATA": "VmData"}[kind]
    code = LIMITED.format(call=call, before=before, kind=kind, spare=spare, field=field)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    told, value = done.stdout.splitlines()
    assert told.startswith(f"BudgetError {message}")
    assert value == "2.0"
