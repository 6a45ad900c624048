"""Commands that this package adds to `agss`; FiftyOne is imported only when they run."""

from __future__ import annotations

from pathlib import Path

import typer

PLUGIN_FOLDER = Path(__file__).parent / "plugin"
commands = typer.Typer(no_args_is_help=True, help="Work in FiftyOne: track, review and evaluate whole datasets.")


def register(app: typer.Typer) -> None:
    """Add the commands; called by `agss_model.cli.main` through the entry point `agss.commands`."""
    app.add_typer(commands, name="fiftyone")


@commands.command()
def install() -> None:
    """Copy the plugin to FiftyOne's plugins; an earlier copy is replaced."""
    from agss_model.cli.console import stdout
    from agss_model.errors import ConfigError
    from fiftyone_plugin import INSTALL

    try:
        import fiftyone as fo
    except ImportError as error:
        raise ConfigError(f"FiftyOne is not installed ({error}): {INSTALL}") from error
    place = copy_plugin(Path(fo.config.plugins_dir))
    stdout().print(f"Installed in {place}. Start the App and press ` to find Track objects.", soft_wrap=True)


def copy_plugin(plugins: Path) -> Path:
    """Copy the plugin folder, completely or not at all, in place of an earlier copy.

    Args:
        plugins: FiftyOne's folder of plugins.

    Returns:
        Where it is now.

    Raises:
        OutputError: the folder cannot be written, or something else has the plugin's place.
    """
    import shutil

    from agss_model.errors import OutputError
    from agss_model.files import unfinished

    # Where `fiftyone plugins download` has put it: FiftyOne takes no two of one name.
    downloaded = plugins / "@agss" / "vos"
    place = downloaded if downloaded.exists() else plugins / "agss-vos"
    if place.is_symlink() or (place.exists() and not (place / "fiftyone.yml").is_file()):
        raise OutputError(f"{place} is not a copy of the plugin; move it away and run this again.")
    try:
        plugins.mkdir(parents=True, exist_ok=True)
        # Beside the plugins, not among them: FiftyOne would find two of one name.
        with unfinished(plugins.parent / place.name, folder=True) as beside:
            fresh, old = beside / "fresh", beside / "old"
            shutil.copytree(PLUGIN_FOLDER, fresh, ignore=shutil.ignore_patterns("__pycache__"))
            if place.exists():
                place.rename(old)
            fresh.rename(place)
    except OSError as error:
        raise OutputError(f"Cannot write {place}: {error}. Choose another FIFTYONE_PLUGINS_DIR.") from error
    return place
