"""The shipped clip: seven pedestrians, with hand-drawn masks on its first and last frame.

Nothing comes in; the paths of three files go out. May import no other room.
"""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent
VIDEO = _FOLDER / "pedestrians.mp4"
FIRST, LAST = _FOLDER / "pedestrians_first.png", _FOLDER / "pedestrians_last.png"
