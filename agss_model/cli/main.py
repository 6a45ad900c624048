"""The command `agss`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

import agss_model
from agss_model.cli.bench import bench
from agss_model.cli.console import stderr, stdout
from agss_model.cli.demo import demo
from agss_model.cli.evaluate import evaluate
from agss_model.cli.track import INTERRUPTED, track
from agss_model.cli.weights import weights
from agss_model.errors import AgssError

WRONG_INPUT = 2
COMMANDS = "agss.commands"
"""Entry points of the packages that build on this one; each is a function `register(app)` that adds its commands."""


class _Reporting(TyperGroup):
    """Prints errors that a user can act on as one message, with a traceback only under --debug."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer declares it
        """Run the command and turn errors into exit codes."""
        try:
            return super().invoke(ctx)
        except AgssError as error:
            console = stderr()
            if ctx.meta.get("agss.debug"):
                console.print_exception()
            console.print(f"[red]Error:[/red] {escape(str(error))}")
            raise typer.Exit(WRONG_INPUT) from None
        except KeyboardInterrupt:
            stderr().print("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="agss",
    cls=_Reporting,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    help="Track every object of a video at once, from the masks of one frame.",
)
app.command()(track)
app.command("eval")(evaluate)
app.command()(bench)
app.command()(demo)
app.add_typer(weights, name="weights")
for _point in entry_points(group=COMMANDS):
    _point.load()(app)


def _show_version(value: bool) -> None:
    if value:
        stdout().print(f"agss {agss_model.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
