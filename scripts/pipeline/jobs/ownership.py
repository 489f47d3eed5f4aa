"""Who a job and a folder belong to: jobs end with the Snakemake that started them, locks of dead runs are removed.

Snakemake that is killed can do neither by itself: its jobs would go on beside those of the next run, and its lock would
stay in that run's way.
"""

import fcntl
import os
import platform
import select
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

OWNER = "PIPELINE_OWNER"  # variable of the environment: process id of the Snakemake that started a job
BOOT = Path("/proc/sys/kernel/random/boot_id")


def follow_owner() -> None:
    """End this process with the Snakemake that started it, where one did."""
    if (owner := int(os.environ.get(OWNER) or 0)) > 1:
        end_with(owner)


def is_owned() -> bool:
    """Whether a Snakemake started this process."""
    return bool(os.environ.get(OWNER))


def end_with(process: int) -> None:
    """Kill this process as soon as another one on this machine has ended.

    Args:
        process: id of the other one.
    """
    threading.Thread(target=_wait_and_end, args=(process,), daemon=True).start()


def _wait_and_end(process: int) -> None:
    try:
        select.select([os.pidfd_open(process)], [], [])
    except (AttributeError, OSError):  # not Linux, or it has ended
        with suppress(ProcessLookupError):
            while True:
                with suppress(PermissionError):  # it is there, and another user's
                    os.kill(process, 0)
                time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def try_lock(handle: int) -> bool | None:
    """Lock an open file or folder for this process alone, until it is closed or the process ends.

    Returns:
        False if another process has the lock, None where the file system knows no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def enter_folder(folder: Path) -> int | None:
    """Say that a run of Snakemake is alive in a folder, and remove the locks there if they are all of dead runs.

    The sign of life is a shared lock, which ends with the process however that ends. Where locks do not work, or where
    the last run was on another machine, whose processes cannot be seen from here, no lock is removed.

    Args:
        folder: Snakemake's own, .snakemake.

    Returns:
        The handle of the open file that is locked, to be kept; None where there can be none.
    """
    locks = folder / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "alive", os.O_RDWR | os.O_CREAT, 0o664)
    except OSError:
        return None
    try:
        for _ in range(20):  # a killed run's own child processes may live for a moment longer
            if try_lock(handle) is False:
                if not any(locks.glob("*.lock")):
                    break
                time.sleep(0.05)
                continue
            if _is_this_machine(os.pread(handle, 1000, 0).decode()):
                for path in sorted(locks.glob("*.lock")):
                    path.unlink(missing_ok=True)
            os.ftruncate(handle, 0)
            os.pwrite(handle, _machine().encode(), 0)
            break
        fcntl.flock(handle, fcntl.LOCK_SH)
    except OSError:
        os.close(handle)
        return None
    return handle


def _machine() -> str:
    """This machine by its name and by its start, of which containers on it have the latter in common."""
    boot = BOOT.read_text(encoding="ascii").strip() if BOOT.is_file() else ""
    return f"{platform.node()} {boot}"


def _is_this_machine(text: str) -> bool:
    """Whether a run that left that text was on this machine; nothing was left by runs before there was the text."""
    name, _, boot = text.partition(" ")
    own_name, _, own_boot = _machine().partition(" ")
    return name == own_name or bool(boot and boot == own_boot)
