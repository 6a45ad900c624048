"""What a person gives a run: masks by frame, boxes and points.

Files and options come in, checked keyframes go out. May import `formats`, `masks`, `tracking` and `video`, and
for boxes and points `engines` and `network`.
"""
