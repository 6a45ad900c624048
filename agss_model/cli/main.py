"""The command `agss`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import agss_model
from agss_model.cli.bench import bench
from agss_model.cli.console import error, set_quiet, stderr, stdout
from agss_model.cli.demo import demo
from agss_model.cli.evaluate import evaluate
from agss_model.cli.export import export
from agss_model.cli.track import INTERRUPTED, track
from agss_model.cli.weights import weights
from agss_model.errors import AgssError

WRONG_INPUT = 2
COMMANDS = "agss.commands"
"""Entry points of the packages that build on this one; each is a function `register(app)` that adds its commands."""


class _CommandGroup(TyperGroup):
    """Prints errors that a user can act on as one message, with a traceback only under --debug."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as typer declares it
        """Keep the words of the command, so that a message can repeat them."""
        ctx.meta["agss.words"] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer declares it
        """Run the command and turn errors into exit codes."""
        try:
            return super().invoke(ctx)
        except AgssError as problem:
            if ctx.meta.get("agss.debug"):
                stderr().print_exception()
            error(str(problem))
            raise typer.Exit(WRONG_INPUT) from None
        except KeyboardInterrupt:
            stderr().print("Interrupted.")
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="agss",
    cls=_CommandGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    help="Track every object of a video at once, from the masks of one frame.",
    epilog="Exit status: 0 done; 1 a fault of ours; 2 something to put right, said in a sentence; 3 new weights are "
    "worse (gate); 130 interrupted, and the same command goes on.",
)
app.command()(track)
app.command("eval")(evaluate)
app.command()(export)
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
    set_quiet(False)
