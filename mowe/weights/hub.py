"""Models in the layout of the Hugging Face Hub: fetched from it, or lying in a local folder."""

import hashlib
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # the client it was built on, whichever version
from safetensors import SafetensorError, safe_open

from mowe import files
from mowe.errors import WeightsError

# Settings, tokenizer files and tensor data; never a format that can hold code.
FILES = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "model.safetensors",
    "model.safetensors.index.json",
    "model-*.safetensors",
)
CONVERSION_BOT = "SFconvertbot"
TENSOR_PATTERNS = ("model.safetensors", "model-*.safetensors")


def open_hub_model(name: str) -> Path:
    """The local snapshot of a hub model; its folder is named after the commit.

    Where the model itself has only pickled weights and no revision is named, the hub's own
    conversion bot is asked for its safetensors copy.

    Args:
        name: `OWNER/NAME` or `OWNER/NAME@REVISION`.

    Raises:
        WeightsError: If the hub cannot be reached, knows no such model, wants a licence accepted,
            or the model has no safetensors.
    """
    repo, _, revision = name.partition("@")
    folder = _snapshot(repo, revision)
    if not tensor_files(folder) and not revision:
        folder = _snapshot(repo, converted) if (converted := _converted_revision(repo)) else folder
    return _checked(folder, f"hub model {name}")


def _snapshot(repo: str, revision: str) -> Path:
    try:
        folder = huggingface_hub.snapshot_download(
            repo, revision=revision or None, allow_patterns=list(FILES)
        )
    except HFValidationError as error:
        raise WeightsError(f"{repo!r} is not a hub id, need OWNER/NAME") from error
    except (httpx.HTTPError, OSError) as error:
        raise WeightsError(_hub_failure(repo, revision, error)) from error
    return Path(folder)


def _converted_revision(repo: str) -> str | None:
    """The pull request in which the hub's bot offers the model as safetensors, if there is one."""
    try:
        offers = list(
            huggingface_hub.HfApi().get_repo_discussions(
                repo, author=CONVERSION_BOT, discussion_type="pull_request"
            )
        )
    except (httpx.HTTPError, OSError):  # the caller says that there are no safetensors
        return None
    references = [
        offer.git_reference
        for offer in offers
        if offer.author == CONVERSION_BOT and "safetensors" in offer.title
    ]
    return references[0] if references else None


def open_folder(path: str) -> Path:
    """A local folder in hub layout: `config.json` beside `model.safetensors` (or its shards).

    Raises:
        WeightsError: If there is no such folder, or a file in it is missing or cut off.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise WeightsError(f"there is no folder {folder}: check the path behind folder:")
    return _checked(folder, f"folder {folder}")


def tensor_files(folder: Path) -> list[Path]:
    """The safetensors files of a model, sorted by name."""
    return sorted({path for pattern in TENSOR_PATTERNS for path in folder.glob(pattern)})


def tensor_fingerprint(folder: Path) -> str:
    """Sha256 of `model.safetensors`; of the hashes of its shards where there are several."""
    hashes = [files.file_sha256(path) for path in tensor_files(folder)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _checked(folder: Path, what: str) -> Path:
    if not tensor_files(folder):
        raise WeightsError(
            f"{what} has no model.safetensors, and pickled weights are never read: name a "
            "revision that has it (hub:OWNER/NAME@refs/pr/N), or convert it once and use folder:"
        )
    if not (folder / "config.json").is_file():
        raise WeightsError(f"{what} has no config.json, need one beside model.safetensors")
    files.tensor_files(folder, WeightsError, "copy or fetch it again")  # all that are named
    for path in tensor_files(folder):
        _check_readable(path, what)
    return folder


def _check_readable(path: Path, what: str) -> None:
    """Read the header of a safetensors file, which also tells whether the file is whole."""
    try:
        with safe_open(path, "pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path.name} of {what} cannot be read ({error}): copy or fetch it again"
        ) from error


def _hub_failure(repo: str, revision: str, error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return (
            f"{repo} wants its licence accepted: do so at https://huggingface.co/{repo}, then "
            "log in with `hf auth login`"
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repo} has no revision {revision!r}: check the part behind @"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"the hub has no model {repo}, or it is private: check the name, or log in with "
            "`hf auth login`"
        )
    return (
        f"cannot fetch {repo} from the hub ({type(error).__name__}): check the network connection "
        "(and HF_HUB_OFFLINE), or use folder:PATH with a copy of it"
    )
