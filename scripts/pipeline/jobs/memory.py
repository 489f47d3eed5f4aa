"""How much memory a machine has for jobs: what is there in all, never what happens to be free."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path

# Per version of control groups: the folder of the memory controller, the file of a limit.
V1, V2 = ("memory", "memory.limit_in_bytes"), ("", "memory.max")
# Of glibc: blocks of at least that size are mapped for themselves, and its numbers for what can be set.
OWN_BLOCKS, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = 2**20, -3, -1
NEVER = 2**31 - 1  # a size that no block has
PR_SET_THP_DISABLE = 41  # of Linux: this process gets no huge pages


def total_memory(root: Path = Path("/")) -> int:
    """Bytes that the processes of this machine, or of this process's control group, may have together.

    The lowest of the limits of the groups that this process is in (cgroup version 1 or 2), and the machine's memory.

    Args:
        root: of the file system.
    """
    return min([_machine_memory(root), *_limits(root)])


def resident_memory() -> int:
    """Bytes that this process has in memory now."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def return_large_blocks() -> None:
    """Have large blocks of memory go back to the system as soon as they are freed, where glibc manages them.

    It would keep them for later ones, between others that are in use: a training step then takes nearly twice the
    memory that its tensors have. Huge pages, which a fork of the run's worker may have, would add to that.
    """
    with suppress(OSError, AttributeError, TypeError):  # of another system's library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, OWN_BLOCKS)
        ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def keep_freed_blocks() -> None:
    """Have freed memory stay with this process for what it needs next, where glibc manages it.

    A small model's steps ask for the same memory again and again; to get it from the system each time, page by page,
    took a fifth of a training with rollouts. The process holds up to a third more.
    """
    with suppress(OSError, AttributeError, TypeError):  # of another system's library
        mallopt = ctypes.CDLL(None).mallopt
        if mallopt(M_MMAP_THRESHOLD, NEVER):
            mallopt(M_TRIM_THRESHOLD, NEVER)


def _machine_memory(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text("ascii").splitlines()
    except OSError:  # no Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))


def _limits(root: Path) -> list[int]:
    """Limits of the memory of this process's groups, from the innermost outwards."""
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        folder, name = V1 if "memory" in controllers.split(",") else V2
        if controllers and folder != "memory":
            continue  # another controller's group of version 1
        base = root / "sys/fs/cgroup" / folder
        inner = base / group.lstrip("/")
        # In a container the group's path may be the host's, and only the uppermost folder is there.
        for place in (inner, *inner.parents):
            if not place.is_relative_to(base):
                break
            found += _limit(place / name)
    return found


def _limit(path: Path) -> list[int]:
    """A limit in a list; none where there is no such file or no limit ("max")."""
    try:
        text = path.read_text("ascii").strip()
    except OSError:
        return []
    return [int(text)] if text.isdigit() else []
