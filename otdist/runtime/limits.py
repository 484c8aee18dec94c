"""Memory limits of this process: of the machine, of control groups and of the process itself.

Every function returns the bytes that can still be allocated, or None if there is no limit or it is not known.
``root`` is the folder that contains ``proc``; control groups are searched at their mount points in
``proc/self/mountinfo``, below the same root.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None

ROOT = Path("/")
_LIMITS = {
    field: getattr(resource, name)
    for field, name in (("VmSize", "RLIMIT_AS"), ("VmData", "RLIMIT_DATA"))
    if hasattr(resource, name)
}


def machine_memory(root: Path = ROOT) -> int | None:
    """Return the free memory of the machine, or less with strict overcommit accounting.

    Without /proc/meminfo: the physical memory, used or not.
    """
    fields = _fields(root / "proc/meminfo", 1024)
    known = []
    if "MemAvailable" in fields:
        known.append(fields["MemAvailable"])
    strict = _text(root / "proc/sys/vm/overcommit_memory") == "2"
    if strict and {"CommitLimit", "Committed_AS"} <= fields.keys():
        known.append(max(fields["CommitLimit"] - fields["Committed_AS"], 0))
    if known:
        return min(known)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def group_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that the control group of the process and its parents leave, of both versions."""
    left = [free for folder, names in _groups(root) if (free := _free_bytes(folder, *names)) is not None]
    return min(left, default=None)


def process_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that RLIMIT_AS and RLIMIT_DATA (``ulimit -v`` and ``-d``) leave."""
    limits = _process_limits()
    if not limits:
        return None
    fields = _fields(root / "proc/self/status", 1024)
    return min(max(limit - fields.get(used, 0), 0) for used, limit in limits.items())


def process_is_limited() -> bool:
    """Whether the process itself has a limit; fast enough to be called before every solve."""
    return bool(_process_limits())


def can_map(size: int) -> bool:
    """Whether the system maps so many more bytes: they are mapped, and unmapped without access.

    True if the system has no such mappings.
    """
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return True
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, OverflowError, ValueError):
        return False
    return True


def _process_limits() -> dict[str, int]:
    """Return the limits that are set, by the field of /proc/self/status that they limit."""
    if resource is None:
        return {}
    limits = {field: resource.getrlimit(number)[0] for field, number in _LIMITS.items()}
    return {field: limit for field, limit in limits.items() if limit != resource.RLIM_INFINITY}


GroupFiles = tuple[
    str, str, str
]  # files of the limit and of what is used; the field of memory.stat to deduct
GROUP_FILES: dict[str, GroupFiles] = {
    "cgroup2": ("memory.max", "memory.current", "inactive_file"),
    "cgroup": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


def _groups(root: Path) -> Iterator[tuple[Path, GroupFiles]]:
    """Yield the folders of the control groups that limit the memory of the process, with their file names."""
    paths = _memberships(root)
    for line in _lines(root / "proc/self/mountinfo"):
        # 36 35 98:0 /root /mount/point options [optional fields] - type source options
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(), after.split() or [""]
        if kind not in paths or len(fields) < 5 or (kind == "cgroup" and not _has_memory(rest)):
            continue
        top, mount = PurePosixPath(_unescape(fields[3])), PurePosixPath(_unescape(fields[4]))
        path = PurePosixPath(paths[kind])
        # Folders outside of the mount, as in a container without a namespace, are not visible.
        inner = path.relative_to(top).parts if path.is_relative_to(top) else ()
        inner = () if ".." in inner else inner
        folder = root.joinpath(*mount.parts[1:])
        yield folder, GROUP_FILES[kind]
        for part in inner:
            folder = folder / part
            yield folder, GROUP_FILES[kind]


def _memberships(root: Path) -> dict[str, str]:
    """Return the paths of the process's control groups by type of file system, if they limit memory."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "memory" in controllers.split(","):
            paths["cgroup"] = path
    return paths


def _has_memory(rest: list[str]) -> bool:
    return bool(rest) and "memory" in rest[-1].split(",")


def _free_bytes(folder: Path, limit: str, used: str, cache: str) -> int | None:
    """Return the limit of a control group less its use, without file caches that the kernel drops first."""
    try:
        most, now = int(_text(folder / limit)), int(_text(folder / used))
    except ValueError:  # "max", or no such file
        return None
    return max(most - max(now - _fields(folder / "memory.stat").get(cache, 0), 0), 0)


def _fields(file: Path, unit: int = 1) -> dict[str, int]:
    """Parse lines such as ``name: 12 kB`` or ``name 12`` to numbers by name."""
    fields = {}
    for line in _lines(file):
        name, *rest = line.split()
        if rest and rest[0].isdigit():
            fields[name.rstrip(":")] = int(rest[0]) * unit
    return fields


def _lines(file: Path) -> list[str]:
    return [line for line in _text(file).splitlines() if line.strip()]


def _text(file: Path) -> str:
    """Read a file without surrounding space; empty if it cannot be read."""
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _unescape(path: str) -> str:
    """Decode a path of mountinfo, where space, tab, newline and backslash are octal."""
    for code in ("040", "011", "012", "134"):
        path = path.replace("\\" + code, chr(int(code, 8)))
    return path
