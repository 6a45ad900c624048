"""What people take away: tracked masks in the formats of other tools, one small file each.

In comes `MaskedClip`, from a run's folder, CVAT or FiftyOne; out goes a new folder or file. May import masks, video
and cvat. A new format is a function in a file here and a line in `registry.py`.
"""
