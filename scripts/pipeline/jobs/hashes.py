"""SHA-256 of files and folders, by which models and datasets are known."""

import hashlib
from pathlib import Path


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
    digest = hashlib.sha256()
    for name, found in sorted(hashes.items()):
        digest.update(f"{name}\0{found}\0".encode())
    return digest.hexdigest()
