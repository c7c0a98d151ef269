"""`export_web`: write a page that runs models in the visitor's browser."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

import medzoo
from medzoo.models import create_model
from medzoo.prediction.result import UNFAMILIAR
from medzoo.web.describe import NOTICE, describe_model
from medzoo.web.folder import MANIFEST, check_folder, write_folder
from medzoo.web.network import WebNetwork, web_network
from medzoo.web.page_files import page_files
from medzoo.web.runtime import NEEDED, runtime_files

WebModel: TypeAlias = "str | os.PathLike[str] | nn.Module"
"""The name of a checkpoint, a weights file, or a model."""

_CSP = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; worker-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'none'"
)
"""What the page may do: load its own files, and nothing else from anywhere."""


@dataclass(frozen=True)
class Sample:
    """An image that visitors of a page can click.

    Attributes:
        file: What it is called, e.g. ``"retina.png"``.
        content: The image file.
        title: What is in it.
        model: The name of the model that it is for.
        credit: Where it comes from, and its licence.
        pixelated: Whether it is shown with visible pixels, because it has few.
    """

    file: str
    content: bytes
    title: str
    model: str
    credit: str
    pixelated: bool = False


@dataclass(frozen=True)
class WebExport:
    """A page that `medzoo.web.export_web` wrote.

    Attributes:
        folder: Its folder.
        models: What is said about each model in models.json.
        bytes: Size of all files.
    """

    folder: Path
    models: list[dict[str, Any]]
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-safe values."""
        return {"folder": str(self.folder), "models": self.models, "bytes": self.bytes}


def export_web(
    models: WebModel | Iterable[str | os.PathLike[str]] | Mapping[str, WebModel],
    folder: str | os.PathLike[str],
    *,
    samples: Iterable[Sample] = (),
    runtime: str | os.PathLike[str] | None = None,
    webgpu: bool = False,
    overwrite: bool = False,
) -> WebExport:
    """Write a static page that classifies images in the visitor's browser; nothing is uploaded.

    The folder needs no server of medzoo: any web server can offer it, GitHub Pages as well as
    ``python -m http.server``. Once it was loaded, the page also works without a connection. Images
    are prepared as in Python, so that probabilities are those of `medzoo.predict` within 0.01;
    files that a browser cannot read alike are refused.

    Args:
        models: What the page offers: names or weights files; or models by the names that they get.
        folder: The folder to write; it should not exist yet.
        samples: Images that visitors can click.
        runtime: A folder with the npm package onnxruntime-web, or its files; by default npm
            installs the pinned version into a temporary folder.
        webgpu: Whether the page may use the visitor's graphics card, where there is one and an
            answer takes longer than 50 ms without it. That adds 27 MB to the folder.
        overwrite: Whether a page that was exported into this folder before may be replaced.

    Returns:
        What was written.

    Raises:
        FileNotFoundError: If `runtime` does not have the files.
        ImportError: If the extra ``medzoo[onnx]`` or npm is missing.
        TypeError: If an argument has the wrong type, or a model does not say what it is.
        ValueError: If a model cannot be exported, two have the same name, or the folder has files
            that are not those of an exported page.
        WeightsError: If weights cannot be found or read.
        WriteError: If the folder cannot be written; it is then as before.

    Example:
        >>> export_web("simple_cnn.pneumoniamnist", "page")  # doctest: +SKIP
    """
    path = check_folder(folder, overwrite=overwrite)
    named = _named(models)
    chosen = list(samples)
    _check_samples(chosen, named)
    engine = runtime_files(runtime, webgpu=webgpu)
    content = _page() | {f"runtime/{name}": data for name, data in engine.items()}
    offline = sorted(name for name in content if not name.endswith(".wasm"))
    descriptions = []
    for name, source in named.items():
        description, network = _network(name, source)
        descriptions.append(description | network.to_dict())
        content[network.file] = network.content
    content |= {f"samples/{sample.file}": sample.content for sample in chosen}
    offline += [f"samples/{sample.file}" for sample in chosen]
    manifest = {
        "models": descriptions,
        "medzoo": medzoo.__version__,
        "notice": NOTICE,
        "unfamiliar": UNFAMILIAR,
        "runtime": {
            kind: dict(zip(("module", "glue", "binary"), paths, strict=True))
            | {"bytes": len(content[paths[2]])}
            for kind, names in NEEDED.items()
            if (paths := [f"runtime/{name}" for name in names])[0] in content
        },
        "samples": [
            {
                "file": f"samples/{sample.file}",
                "title": sample.title,
                "model": sample.model,
                "credit": sample.credit,
                "pixelated": sample.pixelated,
            }
            for sample in chosen
        ],
    }
    version = _digest(content, manifest)
    content["sw.js"] = _service_worker(version, [*offline, MANIFEST])
    manifest |= {"version": version, "files": sorted(content)}
    content[MANIFEST] = json.dumps(manifest, indent=1).encode()
    write_folder(path, content)
    return WebExport(path, descriptions, sum(map(len, content.values())))


def _named(models: Any) -> dict[str, WebModel]:
    """Return models by name."""
    if isinstance(models, Mapping):
        named = dict(models)
    else:
        if isinstance(models, nn.Module):
            raise TypeError(f"a {type(models).__name__} has no name; give {{'name': model}}")
        given = [models] if isinstance(models, str | os.PathLike) else list(models)
        if wrong := next((one for one in given if not isinstance(one, str | os.PathLike)), None):
            raise TypeError(
                f"models has a {type(wrong).__name__}, expected names or weights files; give "
                "models that have no name as {'name': model}"
            )
        names = [_name_of(os.fspath(one)) for one in given]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two models are called {twice!r}; give {{'name': model, ...}}")
        named = dict(zip(names, given, strict=True))
    if not named:
        raise ValueError("there are no models; give the name of at least one")
    return named


def _name_of(source: str) -> str:
    return Path(source).stem if source.endswith(".safetensors") else source


def _check_samples(samples: list[Sample], models: Mapping[str, object]) -> None:
    for sample in samples:
        if not re.fullmatch(r"[\w-][\w.-]*", sample.file, re.ASCII):
            raise ValueError(
                f"a sample is called {sample.file!r}; use letters, digits, '-', '_' and '.'"
            )
        if sample.model not in models:
            raise ValueError(
                f"sample {sample.file!r} is for {sample.model!r}, which is not among the models: "
                f"{', '.join(models)}"
            )


def _network(name: str, source: WebModel) -> tuple[dict[str, Any], WebNetwork]:
    if isinstance(source, nn.Module):
        return describe_model(name, source), web_network(name, source)
    model = create_model(os.fspath(source), pretrained=True)
    return describe_model(name, model, [source]), web_network(name, model)


def _page() -> dict[str, bytes]:
    page = page_files("browser_backend.js")
    for file in files("medzoo.web").joinpath("browser").iterdir():
        if file.name.endswith(".js") and file.name != "sw.js":
            page[f"browser/{file.name}"] = file.read_bytes()
    index = page["index.html"].decode()
    policy = f'<head>\n<meta http-equiv="Content-Security-Policy" content="{_CSP}">'
    page["index.html"] = _replaced(index, r"<head>", policy).encode()
    return page


def _replaced(text: str, pattern: str, new: str) -> str:
    """Replace a pattern that has to occur once."""
    result, count = re.subn(pattern, lambda _: new, text, flags=re.MULTILINE)
    assert count == 1, pattern
    return result


def _digest(content: Mapping[str, bytes], manifest: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(content):
        digest.update(name.encode() + hashlib.sha256(content[name]).digest())
    return digest.hexdigest()[:16]


def _service_worker(version: str, offline: list[str]) -> bytes:
    text = files("medzoo.web").joinpath("browser", "sw.js").read_text(encoding="utf-8")
    for name, value in (("VERSION", version), ("FILES", offline)):
        text = _replaced(text, rf"^const {name} = .*;$", f"const {name} = {json.dumps(value)};")
    return text.encode()
