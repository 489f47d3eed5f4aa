"""Upload of a publication to the Hugging Face Hub, by its own client: only what the hub does not have."""

import tempfile
from pathlib import Path

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils.sha import git_hash

from pipeline.jobs.io import InputError, file_hash, visible_files, write_text
from pipeline.publishing.cards import make_card


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
        record |= {"uploaded": False, "files": files}
        remote = remote_files(api, repo_id, kind)
        same = (is_same(remote[path], Path(scratch) / path, sha256) for path, sha256 in files.items())
        if files.keys() == remote.keys() and all(same):
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


def stage(publication: dict, repo_id: str, folder: Path) -> dict[str, str]:
    """Lay out a repository in a folder: links to the files, and the card.

    Returns:
        {path in the repository: its SHA-256}.

    Raises:
        InputError: a file is missing.
    """
    files = dict(publication["files"])
    if "folder" in publication:
        # hidden files stay behind, and a card that ours replaces
        found = visible_files(publication["folder"])
        files |= {name: str(path) for name, path in found.items() if not path.name.startswith("README.md")}
    for name, source in files.items():
        if not Path(source).is_file():
            raise InputError(f"{source}: there is no such file")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(Path(source).resolve())
    write_text(make_card(publication, repo_id), folder / "README.md")
    return {name: file_hash(folder / name) for name in sorted([*files, "README.md"])}


def remote_files(api: HfApi, repo_id: str, repo_type: str) -> dict[str, RepoFile]:
    """The files that the hub has, by path."""
    tree = api.list_repo_tree(repo_id, recursive=True, repo_type=repo_type)
    return {entry.path: entry for entry in tree if isinstance(entry, RepoFile) and entry.path != ".gitattributes"}


def is_same(remote: RepoFile, path: Path, sha256: str) -> bool:
    """Whether the hub has a file's content: it knows large files by their SHA-256, others by their git blob hash."""
    return sha256 == remote.lfs.sha256 if remote.lfs else git_hash(path.read_bytes()) == remote.blob_id
