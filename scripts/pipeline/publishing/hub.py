"""Upload of a publication to the Hugging Face Hub, by its own client: only what the hub does not have."""

import hashlib
import tempfile
from pathlib import Path

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile

from pipeline.jobs.io import InputError, write_text
from pipeline.publishing.cards import make_card

UNPUBLISHED = (".", "README.md")  # a folder's own files that stay behind: hidden ones, and a card that ours replaces


def publish(publication: dict, token: str) -> dict:
    """Make the repository of a publication hold just its files.

    Args:
        publication: {kind, repo_type, name, private, files: {path in the repository: local file}, folder: local folder
            or absent, records: files that the card is made from}, and namespace and license where they are given.

    Returns:
        The record: {repo_id, repo_type, url, private, commit, uploaded: bool, files: {path: SHA-256}}.

    Raises:
        InputError: the hub refuses, cannot be reached, or has the repository with another visibility.
    """
    api = HfApi(token=token)
    name = "/".join([*([publication["namespace"]] if "namespace" in publication else []), publication["name"]])
    try:
        return _publish(api, name, publication)
    except (HfHubHTTPError, httpx2.HTTPError, RuntimeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        cause = error.__cause__ if type(error) is RuntimeError else None  # of an upload in a thread of the client's
        reason = " ".join(str(cause or error).split())
        raise InputError(f"{publication['repo_type']} {name} at {api.endpoint}: {reason}") from error
    except (KeyError, TypeError, AttributeError) as error:  # from inside the client, of an answer that lacks a part
        reason = f"its answer is not that of a hub ({type(error).__name__}: {error}); see the variable HF_ENDPOINT"
        raise InputError(f"{publication['repo_type']} {name} at {api.endpoint}: {reason}") from error


def _publish(api: HfApi, name: str, publication: dict) -> dict:
    kind, private = publication["repo_type"], publication["private"]
    sdk = {"space_sdk": "static"} if kind == "space" else {}
    url = api.create_repo(name, repo_type=kind, private=private, exist_ok=True, **sdk)
    repo_id = url.repo_id
    info = api.repo_info(repo_id, repo_type=kind)
    if bool(info.private) != private:
        there, here = ("private", "public") if info.private else ("public", "private")
        raise InputError(
            f"{kind} {repo_id} is {there} on the hub, but {here} by the config's section publish: change one of them"
        )
    with tempfile.TemporaryDirectory() as scratch:
        files = stage(publication, repo_id, Path(scratch))
        record = {"repo_id": repo_id, "repo_type": kind, "url": str(url), "private": private, "commit": info.sha}
        record |= {"uploaded": False, "files": {path: sha256 for path, (sha256, _) in files.items()}}
        remote = remote_files(api, repo_id, kind)
        if files.keys() == remote.keys() and all(remote[path] in found for path, found in files.items()):
            print(f"{kind} {repo_id}: the hub has all {len(files)} files, nothing is uploaded", flush=True)
            return record
        print(f"{kind} {repo_id}: uploading what is new of {len(files)} files", flush=True)
        commit = api.upload_folder(
            repo_id=repo_id,
            repo_type=kind,
            folder_path=scratch,
            delete_patterns="*",
            commit_message=f"Publish {publication['kind'].replace('_', ' ')}",
        )
    return record | {"commit": commit.oid, "uploaded": True}


def stage(publication: dict, repo_id: str, folder: Path) -> dict[str, tuple[str, str]]:
    """Lay out a repository in a folder: links to the files, and the card.

    Returns:
        {path in the repository: its SHA-256 and its git blob hash}.

    Raises:
        InputError: a file is missing.
    """
    files = dict(publication["files"])
    if "folder" in publication:
        top = Path(publication["folder"])
        files |= {
            path.relative_to(top).as_posix(): str(path)
            for path in sorted(top.rglob("*"))
            if path.is_file() and not path.name.startswith(UNPUBLISHED)
        }
    for name, source in files.items():
        if not Path(source).is_file():
            raise InputError(f"{source}: there is no such file")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(Path(source).resolve())
    write_text(make_card(publication, repo_id), folder / "README.md")
    return {name: hashes(folder / name) for name in sorted([*files, "README.md"])}


def hashes(path: Path) -> tuple[str, str]:
    """SHA-256 of a file, by which the hub knows large files, and its hash as a git blob, by which it knows others."""
    sha256, blob = hashlib.sha256(), hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()


def remote_files(api: HfApi, repo_id: str, repo_type: str) -> dict[str, str]:
    """The files that the hub has: the SHA-256 of large ones, the git blob hash of others."""
    tree = api.list_repo_tree(repo_id, recursive=True, repo_type=repo_type)
    return {
        entry.path: entry.lfs.sha256 if entry.lfs else entry.blob_id
        for entry in tree
        if isinstance(entry, RepoFile) and entry.path != ".gitattributes"
    }
