"""What a dataset holds: clips, fields, the pixels, names and authors of labels; reading and writing them.

In come FiftyOne's collections, out go frozen records and masks of this project. May import `agss_model` and FiftyOne,
nothing else of this package.
"""

from __future__ import annotations
