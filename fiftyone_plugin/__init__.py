"""AGSS-VOS in FiftyOne: the logic behind the plugin whose folder is `plugin/`.

Datasets come in; labels, scores and exports go out. May import `agss_model`. FiftyOne copies only `plugin/` when a
plugin is downloaded and runs its `__init__` again on every call, so nothing but names lives there; everything else is
here, in the installed package `agss-vos`. Importing this package imports nothing.
"""

from __future__ import annotations

PLUGIN = "@agss/vos"
"""Name of the plugin; operators are `@agss/vos/track_objects` and so on."""
INSTALL = 'pip install ".[fiftyone]" in a clone of the project'
