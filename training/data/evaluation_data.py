"""What scores are measured on, and therefore is never trained on."""

from __future__ import annotations

from pathlib import Path

from agss_model.errors import ConfigError

EVALUATION_FOLDERS = frozenset({"davis2016_dev", "multi_dev"})
EVALUATION_SEQUENCES = frozenset(  # validation of DAVIS-2016, and the sequence of multi_dev
    {
        *(
            "blackswan",
            "bmx-trees",
            "breakdance",
            "camel",
            "car-roundabout",
            "car-shadow",
            "cows",
            "dance-twirl",
            "dog",
        ),
        *("drift-chicane", "drift-straight", "goat", "horsejump-high", "kite-surf", "libby", "motocross-jump"),
        *("paragliding-launch", "parkour", "schoolgirls", "scooter-black", "soapbox"),
    }
)


def refuse_evaluation_data(folder: Path) -> None:
    """Stop before anything that scores are measured on is trained on.

    Raises:
        ConfigError: the folder, what it links to, or a folder right below is evaluation data.
    """
    below = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    hit = EVALUATION_FOLDERS & {*folder.absolute().parts, *folder.resolve().parts, *below}
    if hit:
        raise ConfigError(f"{folder} belongs to {sorted(hit)[0]}, which is for evaluation; train on other data.")
