"""What people take away: tracked masks in the formats of other tools, one small file each.

In comes `Tracked`, from a run's folder or from anywhere else; out goes a new folder or file. May import masks, video
and runs. A new format is a function in a file here and a line in `registry.py`.
"""
