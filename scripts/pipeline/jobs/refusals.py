"""Errors by which the system refuses a file: a full disk, a path that may not be used."""

import errno

FULL = ("No space left on device", "database or disk is full")  # words of the system, and of SQLite


def refused_path(error: BaseException) -> str | None:
    """The file or folder that the system does not let be used, and why, if that is what an error says; else None."""
    refusals = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
    if not isinstance(error, OSError) or error.errno not in refusals:
        return None
    name = str(error.filename or error)
    return f"{name[:300]}{'…' * (len(name) > 300)}: {error.strerror or 'it may not be used'}"


def full_disk(error: BaseException | None) -> str | None:
    """What could not be written, if an error or one behind it says that a disk is full or a quota used up; else None.

    Libraries write in their own ways: safetensors has the system's message as its own, torch only its own.
    """
    while error is not None:
        text = str(error)
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(words in text for words in FULL):
            return f"while writing {getattr(error, 'filename', None) or 'a file'} ({text})"
        if isinstance(error, RuntimeError) and ("PytorchStreamWriter" in text or "inline_container" in text):
            return "or not to be written to, while torch was saving a file"
        error = error.__cause__ or error.__context__
    return None
