"""A tracking run on the disk: its folder and record, its scores and what to look at first, continuing and replacing it.

In come a clip, keyframes and an engine; out go masks, scores and an overlay in one folder. May import `clips`,
`engines`, `formats`, `masks`, `network`, `tracking`, `video` and `system`.
"""
