"""`agss weights`: what is shipped, what is in a file, and published checkpoints made usable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from agss_model.cli import options
from agss_model.cli.console import stdout
from agss_model.config import PRESETS
from agss_model.errors import OutputError, WeightsError
from agss_model.files import sha256_of
from agss_model.weights.bundles import current_version, published_names, rollback, versions_of
from agss_model.weights.files import read_weights
from agss_model.weights.importer import import_checkpoint
from agss_model.weights.registry import load_model, locate, shipped_models

weights = typer.Typer(no_args_is_help=True, help="Shipped weights, weights files, and import of published ones.")
_NAME = Annotated[str, typer.Argument(help="A shipped or published name, or a .safetensors file.", show_default=False)]


@weights.command("list")
def list_models(debug: options.Debug = False) -> None:
    """List the names that --weights takes."""
    table = Table("name", "architecture", "size", "SHA-256")
    for name, (path, sha256) in shipped_models().items():
        config = read_weights(path, sha256)[1]
        table.add_row(name, config.architecture, f"{path.stat().st_size / 2**20:.1f} MiB", sha256[:16])
    for name in published_names():
        for version in versions_of(name):
            path, digest = locate(f"{name}@{version}")
            config = read_weights(path, digest)[1]
            shown = f"{name}@{version}" + (" (current)" if version == current_version(name) else "")
            table.add_row(shown, config.architecture, f"{path.stat().st_size / 2**20:.1f} MiB", (digest or "")[:16])
    table.add_row("propagation", PRESETS["propagation"].architecture, "ImageNet features, no training of ours", "")
    stdout().print(table)


@weights.command()
def show(name: _NAME, debug: options.Debug = False) -> None:
    """Show what is in a weights file: settings, where it comes from, and its size."""
    path, sha256 = _locate(name)
    tensors, config, metadata = read_weights(path, sha256)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    content = {
        "file": str(path),
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "tensors": len(tensors),
        "numbers": numbers,
        "metadata": metadata,
        "config": config.to_dict(),
    }
    stdout().print(json.dumps(content, indent=2))


@weights.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="A published checkpoint of AGSS-VOS, RGMP or FlowNet2.")],
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="FILE with .safetensors")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the file if it exists.")] = False,
    debug: options.Debug = False,
) -> None:
    """Turn a published checkpoint into safetensors; nothing in it is run."""
    target = out or file.with_suffix(".safetensors")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists; choose another --out, or replace it with --overwrite")
    report = import_checkpoint(file, target)
    stdout().print(f"{file} is a checkpoint of {report.kind} with {report.parameters:,} numbers.")
    for written in report.files:
        stdout().print(f"written: {written}")
    if report.left_out:
        stdout().print(f"left out, as nothing needs them: {len(report.left_out)} counters and constants")
    option = "--flow" if report.kind.startswith("flownet2") else "--weights"
    stdout().print(f"use it with: agss track ... {option} {report.files[0]}")


@weights.command()
def verify(
    name: Annotated[
        str | None,
        typer.Argument(help="A shipped name or a .safetensors file.", show_default="all shipped"),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Check that weights are whole: their SHA-256, their content, and that they fit their network."""
    for wanted in [name] if name is not None else list(shipped_models()):
        path, sha256 = _locate(wanted)
        metadata = read_weights(path, sha256)[2]
        if not metadata.get("kind", "").startswith("flownet2"):
            load_model(wanted)
        stdout().print(f"{wanted}: whole, SHA-256 {sha256_of(path)}")
    if name is None and not shipped_models():
        stdout().print("This version ships no weights.")


@weights.command("rollback")
def roll_back(
    name: Annotated[str, typer.Argument(help="A published name.", show_default=False)], debug: options.Debug = False
) -> None:
    """Make the version that was published before the current one current again."""
    bundle = rollback(name)
    stdout().print(f"{name} is version {bundle.version} again: {bundle.folder}")


def _locate(name: str) -> tuple[Path, str | None]:
    if name in PRESETS and name not in shipped_models() and not Path(name).exists():
        raise WeightsError(f"{name} is not a file: nothing is shipped under this name. See: agss weights list")
    return locate(name)
