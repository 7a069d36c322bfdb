"""Published weights, fetched once and kept in torch.hub's directory."""

import sys
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlparse

import torch

from static_dynamic.models.errors import ModelError


def fetch(name: str, url: str | None, sha256: str | None = None) -> Path:
    """The file behind a URL, as ``<torch.hub directory>/checkpoints/<name>-<file>``.

    The name is included because two zoos give the same file name to different weights.

    Args:
        name: Of the model.
        url: Where its weights are; ``None`` if they are not published.
        sha256: Digest of the file, or the beginning of it; ``None`` if it is not known.

    Raises:
        ModelError: If there is no URL or no network, or the URL gives something else; then no file is left.
    """
    if url is None:
        raise ModelError(f"No weights of '{name}' are published. Pass `checkpoint=FILE` for your own.")
    file = Path(torch.hub.get_dir(), "checkpoints", f"{name}-{Path(urlparse(url).path).name}")
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), sha256, progress=sys.stderr.isatty())
            _refuse_page(file)
        except (OSError, HTTPException, RuntimeError) as error:
            reason = getattr(error, "reason", error)
            raise ModelError(
                f"Cannot fetch {url}: {reason}. Download it yourself and pass `checkpoint=FILE`."
            ) from None
    return file


def _refuse_page(file: Path) -> None:
    with file.open("rb") as stream:
        is_page = stream.read(64).lstrip().startswith(b"<")
    if is_page:  # shared drives answer with one, and without an error
        file.unlink()
        raise RuntimeError("a web page came back")
