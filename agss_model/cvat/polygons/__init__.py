"""Polygon tracks with few keyframes, as CVAT shows them.

Masks come in, keyframes go out. May import `masks` and the `authorship` beside it; the button has the same in
JavaScript.
"""
