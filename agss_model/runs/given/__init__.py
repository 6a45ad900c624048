"""What a person gives a run: masks by frame, boxes and points.

Files and options come in, checked keyframes go out. May import `formats`, `masks` and `tracking`.
"""
