"""Masks to files and back: DAVIS and YouTube-VOS folders, CVAT's video XML.

In come clips and a folder, out go files, or labels in a field, and an account of them. May import `data` and
`agss_model`.
"""

from __future__ import annotations
