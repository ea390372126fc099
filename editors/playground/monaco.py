"""The editor of the page: Monaco, which is not ours and so is fetched once, checked against its hash, and kept.

Knows a package registry's addresses and its archives; nothing of what the page does with the editor.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
from base64 import b64decode
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from filelock import FileLock

VERSION = "0.57.0"
SIZE = 18_572_937  # bytes of the archive
SHA512 = b64decode("5BkI9KGoqrNvBGUe15/QlZq3OooZ8WLg1AxTpaqHRCP3HNpzPPZKE2EDz8M7c+VRmCeUw1Brp4cx/PWm3kI/5A==")
INSIDE = "package/min/vs/"  # what of the archive is kept
ENTRY = "vs/loader.js"  # in a folder that has it
SECONDS = 30.0  # of silence, after which a registry is given up
CHUNK = 1 << 16
OFFLINE = (
    f"where there is a network, run `npm pack monaco-editor@{VERSION}`, and here "
    f"`sc2lsp playground --monaco monaco-editor-{VERSION}.tgz`"
)

OnBytes = Callable[[int], None]  # is given how many more have arrived


class MonacoError(Exception):
    """There is no editor for the page; the message says how to get one."""


def archive_url(environment: Mapping[str, str]) -> str:
    """In the registry that npm_config_registry names, or that npm is configured with. Raises MonacoError."""
    names = ("npm_config_registry", "NPM_CONFIG_REGISTRY")
    registry = next((environment[name] for name in names if environment.get(name)), None) or _npm_registry(environment)
    if not registry.startswith(("https://", "http://")):
        raise MonacoError(f"npm_config_registry must begin with https://, and it is {registry!r}")
    return f"{registry.rstrip('/')}/monaco-editor/-/monaco-editor-{VERSION}.tgz"


def _npm_registry(environment: Mapping[str, str]) -> str:
    """What npm says. Which registry that is, is for its user to say, not for us."""
    npm = shutil.which("npm", path=environment.get("PATH", ""))
    try:
        if npm is None:
            raise FileNotFoundError
        asked = [npm, "config", "get", "registry"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=SECONDS).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        missing = "there is no npm here that says where to fetch it from"
        raise MonacoError(f"{missing}; set npm_config_registry to an npm registry's address, or {OFFLINE}") from None


def kept(cache: Path) -> Path | None:
    """The folder of an editor that was fetched before."""
    folder = cache / f"monaco-{VERSION}"
    return folder if (folder / ENTRY).is_file() else None


def given(path: Path, cache: Path) -> Path:
    """The folder of an editor that the user names: the package's own folder, or its archive. Raises MonacoError."""
    if path.is_file():
        return kept(cache) or _keep(path, cache)
    for folder in (path, path / "min"):
        if (folder / ENTRY).is_file():
            return folder
    raise MonacoError(f"{path} has no min/{ENTRY}: give the folder of the npm package monaco-editor, or its archive")


def fetch(url: str, cache: Path, on_bytes: OnBytes) -> Path:
    """Download the editor into the cache, unless another process did meanwhile. Raises MonacoError."""
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "monaco.lock"), TemporaryDirectory(prefix="monaco-", dir=cache) as temporary:
        if (folder := kept(cache)) is not None:
            return folder
        archive = Path(temporary, "archive.tgz")
        try:
            _download(url, archive, on_bytes)
        except (URLError, HTTPException, OSError) as failure:
            if isinstance(failure, HTTPError):
                failure.close()
            why = failure.reason if isinstance(failure, URLError) else failure
            raise MonacoError(f"cannot fetch {url} ({why}); {OFFLINE}") from None
        return _keep(archive, cache)


def _download(url: str, archive: Path, on_bytes: OnBytes) -> None:
    with urlopen(url, timeout=SECONDS) as answer, archive.open("wb") as file:
        while file.tell() <= SIZE and (chunk := answer.read(CHUNK)):
            file.write(chunk)
            on_bytes(len(chunk))


def _keep(archive: Path, cache: Path) -> Path:
    """Unpack an archive whose hash is right, all of it or nothing."""
    with archive.open("rb") as file:
        if hashlib.file_digest(file, "sha512").digest() != SHA512:
            raise MonacoError(f"{archive.name} is not monaco-editor {VERSION}: its SHA-512 is another; {OFFLINE}")
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"monaco-{VERSION}"
    with TemporaryDirectory(prefix="monaco-", dir=cache) as temporary:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if member.name.startswith(INSIDE)]
            tar.extractall(temporary, members, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(Path(temporary, INSIDE).parent, folder)  # noqa: PTH105 - also over an empty folder
    return folder
