"""onnxruntime-web, which runs models in a browser: its files, of the version that is pinned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from medzoo.errors import WriteError

PACKAGE = "onnxruntime-web"
NEEDED = {
    "wasm": (
        "ort.wasm.min.mjs",
        "ort-wasm-simd-threaded.mjs",
        "ort-wasm-simd-threaded.wasm",
    ),
    "webgpu": (
        "ort.webgpu.min.mjs",
        "ort-wasm-simd-threaded.asyncify.mjs",
        "ort-wasm-simd-threaded.asyncify.wasm",
    ),
}
"""Files for the processor and for the graphics card: the module, its loader, its program."""

_LOCK = ("package.json", "package-lock.json")
_MAX_SECONDS = 600


def pinned_version() -> str:
    """Return the version of onnxruntime-web that exported pages use."""
    lock = json.loads(files("medzoo.web").joinpath("runtime", "package-lock.json").read_text())
    return str(lock["packages"][f"node_modules/{PACKAGE}"]["version"])


def runtime_files(
    folder: str | os.PathLike[str] | None = None, *, webgpu: bool = False
) -> dict[str, bytes]:
    """Return the files of onnxruntime-web by name.

    Args:
        folder: Where they are: a folder with ``node_modules``, the package, or the files
            themselves; by default npm installs the pinned version into a temporary folder, and
            checks it against the lock file.
        webgpu: Whether those for the graphics card are needed, too.

    Raises:
        FileNotFoundError: If the folder does not have them.
        ImportError: If npm is needed and missing, or cannot install the package.
        ValueError: If the folder has another version.
    """
    names = NEEDED["wasm"] + (NEEDED["webgpu"] if webgpu else ())
    if folder is not None:
        return _read(_found_in(Path(folder)), names)
    with tempfile.TemporaryDirectory(prefix="medzoo-") as temporary:
        return _read(_installed_in(Path(temporary)), names)


def _read(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{str(folder)!r} does not have {', '.join(missing)}; give the folder dist of the npm "
            f"package {PACKAGE} {pinned_version()}"
        )
    return {name: (folder / name).read_bytes() for name in names}


def _found_in(folder: Path) -> Path:
    places = [folder / "node_modules" / PACKAGE / "dist", folder / "dist", folder]
    found = next((place for place in places if place.is_dir()), folder)
    package = found.parent / "package.json"
    if package.is_file():
        about = json.loads(package.read_text(encoding="utf-8"))
        if about.get("name") == PACKAGE and about.get("version") != pinned_version():
            raise ValueError(
                f"{str(folder)!r} has {PACKAGE} {about.get('version')}, expected "
                f"{pinned_version()}, which was tested; install that one"
            )
    return found


def _installed_in(folder: Path) -> Path:
    npm = shutil.which("npm")
    version = pinned_version()
    if npm is None:
        raise ImportError(
            f"a web page needs the files of {PACKAGE} {version}, and there is no npm to install "
            f"them; install Node.js (https://nodejs.org), or unpack the npm package {PACKAGE} "
            f"{version} and give its folder: runtime=, on the command line --runtime"
        )
    for name in _LOCK:
        content = files("medzoo.web").joinpath("runtime", name).read_bytes()
        (folder / name).write_bytes(content)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_MAX_SECONDS, check=False
        )
        problem = done.stderr.strip() if done.returncode else ""
    except subprocess.TimeoutExpired:
        problem = f"no answer within {_MAX_SECONDS} seconds"
    except OSError as error:
        raise WriteError(f"cannot run {npm}: {error}; give runtime=") from error
    if problem:
        raise ImportError(
            f"npm cannot install {PACKAGE} {version}: {problem.splitlines()[-1]}; check the "
            "connection, or give a folder with its files: runtime=, on the command line --runtime"
        )
    return folder / "node_modules" / PACKAGE / "dist"
