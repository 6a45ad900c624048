"""What people bring and take away: annotations in the formats of other tools.

Files and folders come in as label maps by frame; a `MaskedClip` of a run, CVAT or FiftyOne goes out as a new folder or
file. May import `masks`, `video`, `cvat` and `tracking`. A new format is a function here and a line in `registry.py`.
"""
