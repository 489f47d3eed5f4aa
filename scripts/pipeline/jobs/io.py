"""The files between stages: atomic writes, errors that name the file, key or row at fault, hashes of their content."""

from __future__ import annotations

import argparse
import contextlib
import glob
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from pipeline.jobs.console import prepared_console, redact
from pipeline.jobs.handover import hand_over
from pipeline.jobs.ownership import follow_owner, try_lock
from pipeline.jobs.refusals import full_disk, refused_path

if TYPE_CHECKING:  # they take Snakemake, which reads no tables, longer to import than all else here
    import pandas as pd
    import pyarrow as pa


class InputError(ValueError):
    """Something that the user gave is wrong. The message names the file, key or row and says what would be right."""


def command_line(text: str) -> argparse.ArgumentParser:
    """A script's arguments, with a text on it: of several lines, such as a docstring, it keeps these."""
    form = argparse.RawDescriptionHelpFormatter if "\n" in text else argparse.HelpFormatter
    return argparse.ArgumentParser(description=text, formatter_class=form)


def run(main: Callable[[], None], warm: bool = False, first: bool = True) -> None:
    """Call an entry script's main; an `InputError`, a full disk or a forbidden path is one line on stderr, with code 1.

    Secrets are read from .env first (see `pipeline.jobs.console`), and are in nothing that is printed. A script that
    Snakemake started ends with Snakemake.

    Args:
        warm: whether the run's worker, if there is one, does the job (see `pipeline.jobs.handover`): of scripts that
            import what takes long inside main.
        first: whether the job may be the one that the worker imports the libraries for; else it does the job itself.
    """
    with prepared_console():
        follow_owner()
        if warm and (code := hand_over(first)) is not None:
            sys.exit(code)
        try:
            main()
        except InputError as error:
            sys.exit(redact(f"error: {error}"))
        except Exception as error:
            if refused := refused_path(error):
                sys.exit(redact(f"error: {refused}"))
            if not (unwritten := full_disk(error)):
                raise
            remedy = "make room and start again: what is finished is kept, and a job that was under way continues"
            sys.exit(redact(f"error: no space left on the disk, {unwritten}; {remedy}"))


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path in the folder of `path` that takes its place when the block ends without an error.

    A killed or failed writer leaves the old file, or none, never half of one; what a killed one left is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, f".{path.name}.")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try_lock(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


@contextlib.contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends without an error."""
    path = Path(path)
    with scratch_folder(path.parent, f".{path.name}.") as temporary:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)


@contextlib.contextmanager
def scratch_folder(parent: str | Path, prefix: str) -> Iterator[Path]:
    """A folder for the time of the block; those of the same prefix that killed processes left are removed."""
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(parent, prefix)
    temporary = Path(tempfile.mkdtemp(dir=parent, prefix=prefix, suffix=".tmp"))
    handle = os.open(temporary, os.O_RDONLY)
    try_lock(handle)
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(handle)


def _umask() -> int:
    """Permissions that this process gives to no new file; temporary ones begin with fewer than the others have."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def remove_abandoned(parent: Path, prefix: str) -> int:
    """Remove the temporary files and folders of that prefix whose writers are dead; returns how many.

    A writer locks what it writes, and the lock ends with it.
    """
    removed = 0
    for path in parent.glob(f"{glob.escape(prefix)}*.tmp"):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDONLY)
            if try_lock(handle):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed += 1
            os.close(handle)
    return removed


def read_parquet(path: str | Path, columns: list[str] | None = None, allow_empty: bool = False) -> pd.DataFrame:
    """A parquet file as a frame; with `columns`, just those, in that order.

    Raises:
        InputError: the file is missing, is not parquet, lacks a column, or (unless `allow_empty`) has no rows.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file")
    try:
        names = pq.read_schema(path).names
        missing = [column for column in columns or [] if column not in names]
        if missing:
            wanted, present = ", ".join(columns), ", ".join(names)
            raise InputError(f"{path}: no column {missing[0]!r}; it must have {wanted}; it has {present}")
        frame = pd.read_parquet(path, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file ({error})") from error
    if frame.empty and not allow_empty:
        raise InputError(f"{path}: there are no rows in it; at least one is needed")
    return frame


def check_distinct_prompts(frame: pd.DataFrame, subject: str) -> None:
    """See that each prompt_id stands in a frame once.

    Args:
        subject: the beginning of the message, such as "the run has".

    Raises:
        InputError: one stands there twice.
    """
    repeated = frame["prompt_id"][frame["prompt_id"].duplicated()]
    if len(repeated):
        raise InputError(f"{subject} prompt {repeated.iloc[0]} twice")


def write_parquet(frame: pd.DataFrame, path: str | Path) -> None:
    """Write a frame as parquet, without its index. The same frame gives the same bytes."""
    import pyarrow as pa

    write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def write_table(table: pa.Table, path: str | Path) -> None:
    """Write an arrow table as parquet. The same table gives the same bytes."""
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def write_csv(frame: pd.DataFrame, path: str | Path, digits: int = 6) -> None:
    """Write a frame as CSV, without its index; floats keep so many significant digits."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False, float_format=f"%.{digits}g", lineterminator="\n")


def write_text(text: str, path: str | Path) -> None:
    """Write text as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


class _Loader(yaml.SafeLoader):
    """Safe YAML in which no key of a mapping is written twice."""

    def compose_mapping_node(self, anchor):
        node, seen = super().compose_mapping_node(anchor), set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if (key.tag, key.value) in seen:
                    text = f"the key {key.value} is written twice"
                    raise yaml.MarkedYAMLError(problem=text, problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return node


def read_yaml(path: str | Path) -> dict:
    """A YAML mapping.

    Raises:
        InputError: the file is missing, is not YAML, or is no mapping.
    """
    try:
        content = yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    except (RecursionError, UnicodeDecodeError) as error:
        what = "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else "it is too deep"
        raise InputError(f"{path}: not valid YAML ({what})") from error
    except ValueError as error:  # a number of thousands of digits, a date that there is not
        raise InputError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: must be a mapping of keys to values, not {type(content).__name__}")
    return content


def write_yaml(content: dict, path: str | Path) -> None:
    """Write a mapping as YAML, keys in their given order."""
    write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), path)


def read_json(path: str | Path) -> dict:
    """A JSON object.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from error


def write_json(content: dict, path: str | Path) -> None:
    """Write a mapping as indented JSON."""
    write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def visible_files(folder: str | Path) -> dict[str, Path]:
    """All files below a folder but hidden ones, by their path from there, in the order of their paths."""
    files = sorted(file for file in Path(folder).rglob("*") if file.is_file() and not file.name.startswith("."))
    return {file.relative_to(folder).as_posix(): file for file in files}


def joint_hash(hashes: dict[str, str]) -> str:
    """SHA-256 of the names and hashes of files, in whatever order they are."""
    text = "".join(f"{name}\0{found}\0" for name, found in sorted(hashes.items()))
    return hashlib.sha256(text.encode()).hexdigest()
