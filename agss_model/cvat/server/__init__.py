"""A running CVAT server: signing in, its answers within bounds, its annotations and frames.

An address comes in, records and pictures go out. May import `video` and `system`, and `records`, `checks`, `identity`,
`authorship`, `exports` and `polygons` beside it; needs cvat-sdk.
"""
