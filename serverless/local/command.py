"""`agss serve` and `agss smoke`: the CVAT function without Docker, and a look at one that runs somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agss_model.cli import options
from agss_model.cli.console import error, is_quiet, note, say, stdout
from agss_model.errors import ConfigError

CPU_FILE = Path(__file__).parents[1] / "function-cpu.yaml"
MISSING = 'This command needs more packages; install in the clone: pip install ".[serve]"'


def serve(
    function: Annotated[
        Path, typer.Option(help="function.yaml that says how.", show_default="the one for a CPU")
    ] = CPU_FILE,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.")] = 8070,
    weights: Annotated[
        str | None, typer.Option(help="Name or .safetensors file.", show_default="as the file says")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:N or mps.", show_default="as the file says")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="torch, onnx, int8, openvino, compile or auto; see agss track.", show_default="as the file says"
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes.", show_default="as the file says", min=1)] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of each.", show_default="its share of the cores")
    ] = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Serve the CVAT function as Nuclio does, without Docker."""
    import dataclasses
    import os
    import signal

    try:
        from serverless.local.function_file import read_function_file
        from serverless.local.pool import Pool
        from serverless.local.server import LocalServer
        from serverless.local.worker import check_installed

        check_installed()
        settings = read_function_file(function)
    except ImportError as error:
        raise ConfigError(f"{MISSING} ({error})") from None
    settings = dataclasses.replace(settings, workers=workers or settings.workers)
    share = max(1, (os.cpu_count() or 1) // settings.workers)
    given = {
        "AGSS_WEIGHTS": weights,
        "AGSS_DEVICE": device,
        "AGSS_ENGINE": engine,
        "AGSS_THREADS": str(threads or share),
    }
    # Service managers end with SIGTERM, and a shell's background jobs ignore SIGINT unless told otherwise.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    pool = Pool(settings, {name: value for name, value in given.items() if value is not None}, note)
    try:
        server = LocalServer((host, port), settings, pool)
    except OSError as error:
        raise ConfigError(f"Cannot listen on {host}:{port} ({error}); choose another --port.") from error
    say(f"Starting {settings.workers} worker(s) of {settings.name} ...")
    try:
        pool.start()
        stdout().print(f"Ready at http://{host}:{server.port}")
        server.serve()
    finally:
        server.close()
        pool.close()


def smoke(
    url: Annotated[str, typer.Argument(help="Of the function, such as http://localhost:8070.")],
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Track five made-up objects with a function that runs somewhere, and say whether it does what CVAT needs."""
    try:
        from serverless.local.smoke import smoke as run
    except ImportError as missing:
        raise ConfigError(f"{MISSING} ({missing})") from None
    found = run(url, lambda what: say(f"{what} ..."))
    for what in dict.fromkeys(found.passed):
        stdout().print(f"ok      {what}")
    for what in found.failed:
        (error if is_quiet() else stdout().print)(f"FAILED  {what}")
    if found.seconds:
        times = ", ".join(f"{seconds:.2f}" for seconds in found.seconds)
        largest = max(found.state_bytes, default=0)
        stdout().print(f"seconds per step: {times}; state of an object: up to {largest} bytes")
    if found.failed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add both to `agss`."""
    app.command()(serve)
    app.command()(smoke)
