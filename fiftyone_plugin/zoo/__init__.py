"""AGSS-VOS in FiftyOne's model zoo.

>>> from fiftyone_plugin import zoo                                                    # doctest: +SKIP
>>> zoo.register()                                                                     # doctest: +SKIP
>>> model = foz.load_zoo_model("agss-vos-lite")                                        # doctest: +SKIP
>>> dataset.apply_model(model, label_field="tracks", prompt_field="frames.prompts")    # doctest: +SKIP

A sample with prompts comes in, labels of its frames go out. May import `data`, `track` and `agss_model`.
"""

from __future__ import annotations

from pathlib import Path

MANIFEST = Path(__file__).parent / "manifest.json"
"""Names the models; may also stand in the environment variable FIFTYONE_MODEL_ZOO_MANIFEST_PATHS."""


def register() -> None:
    """Make `foz.load_zoo_model` know the models, in this process. The plugin does the same where it is loaded."""
    import fiftyone as fo

    known = list(fo.config.model_zoo_manifest_paths or [])
    if str(MANIFEST) not in known:
        fo.config.model_zoo_manifest_paths = [*known, str(MANIFEST)]
