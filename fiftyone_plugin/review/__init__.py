"""What tracks are worth: scores over frames, the queue of what to look at, J&F against a ground truth.

In come clips with a tracked field, out go tables, pictures, saved views and numbers. May import `data` and
`agss_model`.
"""

from __future__ import annotations
