"""Commands that this package adds to `agss`; what they need is imported only when they run."""

from __future__ import annotations

import typer

from serverless.job import command as job_command
from serverless.local import command


def register(app: typer.Typer) -> None:
    """Add the commands; called by `agss_model.cli.main` through the entry point `agss.commands`."""
    command.register(app)
    job_command.register(app)
