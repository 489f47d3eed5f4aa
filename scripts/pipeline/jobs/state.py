"""What a killed job goes on from: a folder outside its outputs, which Snakemake deletes, known by what the job is.

The state of results/a/b is in results/.state/a/b, that of any other output beside it in .state/. One process at a time
works there. When the job is done the state goes; under Snakemake, which may be killed before it has noted that the job
is done, links to the outputs stay in the state until the run ends, so that nothing is computed twice.
"""

import fcntl
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.jobs.io import atomic_folder, atomic_path, remove_abandoned
from pipeline.jobs.ownership import is_owned, try_lock
from pipeline.jobs.processes import is_first_process

STATE, FINISHED, LOCK = ".state", "finished", "lock"
PREPARATION = ".prepare-"  # beginning of the names of folders, in results/data, where datasets are prepared


def state_place(output: str | Path) -> Path:
    """Where the state of a job with that first output is."""
    parts = Path(output).parts
    if "results" not in parts:
        return Path(output).parent / STATE / Path(output).name
    root = len(parts) - parts[::-1].index("results")
    return Path(*parts[:root], STATE, *parts[root:])


class JobState:
    """The state of a job, for a `with` block: locked inside it, kept when it ends with an error, else removed.

    Of several processes that share a job the first one locks and removes.

    Args:
        output: the first file or folder that the job writes.
        key: hash of what the job is; states of the same output with other keys are removed.

    Attributes:
        folder: where the job may keep what it goes on from; it exists inside the block.
    """

    def __init__(self, output: str | Path, key: str):
        self.place = state_place(output)
        self.folder = self.place / key
        self.first = is_first_process()

    def __enter__(self) -> "JobState":
        if self.first:
            self.handle = self._locked()
            for other in self.place.iterdir():
                if other.name not in (LOCK, self.folder.name):
                    shutil.rmtree(other, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind, error, trace) -> None:
        if not self.first:
            return
        if kind is None and is_owned():
            (self.folder / FINISHED).mkdir(exist_ok=True)
        elif kind is None or not any(self.folder.iterdir()):
            _remove(self.place)
        os.close(self.handle)

    def restored(self, outputs: Sequence[Path]) -> bool:
        """Put back the outputs of this very job, if it was finished before and Snakemake did not know; else False."""
        kept = self.folder / FINISHED
        if not all((kept / str(number)).exists() for number in range(len(outputs))):
            return False
        if self.first:
            for number, output in enumerate(outputs):
                _link(kept / str(number), output)
            print("finished before; the results were put back", flush=True)
        return True

    def finish(self, outputs: Sequence[Path]) -> None:
        """Keep links to the outputs, in the order that `restored` takes them in, in place of all other state."""
        if not self.first or not is_owned():
            return
        with atomic_folder(self.folder / FINISHED) as temporary:
            for number, output in enumerate(outputs):
                _link(output, temporary / str(number))
        for path in self.folder.iterdir():
            if path.name != FINISHED:
                _delete(path)

    def _locked(self) -> int:
        """The handle of this state's lock, waiting until nobody else has it."""
        path, waited = self.place / LOCK, False
        while True:
            self.place.mkdir(parents=True, exist_ok=True)
            try:
                handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o664)
            except FileNotFoundError:  # removed meanwhile
                continue
            if try_lock(handle) is False:
                if not waited:
                    print(f"{self.place}: another process does this job; waiting for it", flush=True)
                waited = True
                fcntl.flock(handle, fcntl.LOCK_EX)
            # Whoever had the lock may have removed the file.
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                return handle
            os.close(handle)


def finished_states(results: Path) -> list[Path]:
    """Places of the states of jobs that are done."""
    return sorted({path.parent.parent for path in (results / STATE).rglob(FINISHED) if path.is_dir()})


def clear_up(results: Path) -> None:
    """Remove what nobody goes on from: states of jobs that are done, folders where killed jobs prepared datasets."""
    remove_states(finished_states(results))
    remove_abandoned(results / "data", PREPARATION)


def all_states(results: Path) -> list[Path]:
    """Places of all states."""
    return sorted(path.parent for path in (results / STATE).rglob(LOCK) if path.is_file())


def remove_states(places: Iterable[Path]) -> int:
    """Remove states that no process works on; returns how many."""
    removed = 0
    for place in places:
        try:
            handle = os.open(place / LOCK, os.O_RDWR)
        except FileNotFoundError:
            continue
        if try_lock(handle) is not False:
            _remove(place)
            removed += 1
        os.close(handle)
    return removed


def _remove(place: Path) -> None:
    """Remove a state and the folders above it that are then empty, up to all states' own; the lock's file last."""
    for path in place.iterdir():
        if path.name != LOCK:
            _delete(path)
    (place / LOCK).unlink(missing_ok=True)
    for folder in (place, *place.parents):
        try:
            folder.rmdir()
        except OSError:
            break
        if folder.name == STATE:
            break


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """Put a file or folder in the place of another in one step, as links where the file system has them."""
    if source.is_dir():
        with atomic_folder(target) as temporary:
            shutil.copytree(source, temporary, copy_function=_link_file, dirs_exist_ok=True)
        return
    with atomic_path(target) as temporary:
        temporary.unlink()
        _link_file(source, temporary)


def _link_file(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
