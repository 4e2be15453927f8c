"""What the Hugging Face hub has for us: over the network where it answers, else from its cache."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_WEIGHT_ENDINGS = {".safetensors", ".bin", ".pt", ".pth"}
_PATIENCE = 5.0  # seconds


def why_offline() -> str:
    """Return why nothing can be downloaded, in a sentence; empty when the hub answers.

    Asked once beforehand, because the hub's own client tries for most of a minute.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, so nothing is downloaded; unset it to try."
    try:
        get_session().head(constants.ENDPOINT, timeout=_PATIENCE)
    except Exception as error:  # noqa: BLE001 - the client below the hub's differs between its versions
        return f"{constants.ENDPOINT} cannot be reached ({' '.join(str(error).split())})."
    return ""


@contextmanager
def cache_only() -> Iterator[None]:
    """Let the hub's client look in its cache alone."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def cached_models(cache_dir: str | os.PathLike[str] | None) -> list[str]:
    """Return the models ("organisation/model") in the cache that have weights with them."""
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        repositories = scan_cache_dir(None if cache_dir is None else Path(cache_dir)).repos
    except (CacheNotFound, ValueError):
        return []
    return sorted(
        repository.repo_id
        for repository in repositories
        if repository.repo_type == "model"
        and any(
            Path(file.file_name).suffix in _WEIGHT_ENDINGS
            for revision in repository.revisions
            for file in revision.files
        )
    )
