"""From what was drawn on some frames to masks on all: prompts, runs that can be resumed, what they write.

In come a collection and `TrackSettings`, out go labels in a field and a `TrackSummary`. May import `data` and
`agss_model`; torch only while a run is at work.
"""

from __future__ import annotations
