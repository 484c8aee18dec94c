"""Files that are replaced whole, or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from otdist.errors import InputError, get_reason


def make_folder(folder: Path, argument: str = "folder") -> None:
    """Make a folder, and those above it, unless it is there; raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            argument,
            f"{str(folder)!r} cannot be made ({error.strerror})",
            "choose a folder that you may write to",
        ) from error


def check_target(path: Path, argument: str = "path") -> Path:
    """Return the absolute path of a file to be written; raises InputError. For a check before long work."""
    try:
        # Resolved, so that a link keeps pointing at the file instead of being replaced by it.
        target = path.resolve()
        has_folder, is_folder = target.parent.is_dir(), target.is_dir()
    except (OSError, ValueError, RuntimeError) as error:
        problem = f"must be a usable path, got {str(path)!r} ({get_reason(error)})"
        raise InputError(argument, problem, "give the name of a file") from error
    if is_folder:
        problem = f"must be a file, got the folder {str(target)!r}"
        raise InputError(argument, problem, "give the name of a file in it")
    if not has_folder:
        problem = f"must be in an existing folder, got {str(target.parent)!r}"
        raise InputError(argument, problem, "create it first")
    return target


def replace_files(contents: Mapping[Path, bytes], argument: str = "path") -> None:
    """Write files, each beside its name first; what is there is replaced once all are complete.

    A process that is killed, a full disk or a power cut leaves every file as it was or as it should be. Two
    processes that write the same files do not mix their contents.

    Parameters
    ----------
    contents : mapping of Path to bytes
        What each file shall hold. Links are followed.
    argument : str
        Name of the caller's argument, for the error.

    Raises
    ------
    InputError
        If a file cannot be written; the reason is the system's.
    """
    mark = f".otdist-{os.getpid()}-{uuid.uuid4().hex}.part"
    # In the same folder, so that the replacement is a rename within one file system.
    targets = [path.resolve() for path in contents]
    drafts = [target.with_name(target.name + mark) for target in targets]
    try:
        for draft, content in zip(drafts, contents.values(), strict=True):
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # otherwise the name may outlive a power cut, and the content not
        for draft, target in zip(drafts, targets, strict=True):
            os.replace(draft, target)
    except OSError as error:
        names = " and ".join(repr(str(path)) for path in contents)
        raise InputError(
            argument,
            f"{names} cannot be written ({error.strerror})",
            "choose a folder that you may write to, with enough space",
        ) from error
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
