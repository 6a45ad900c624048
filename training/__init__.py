"""Training of the networks in `agss_model`: synthetic clips from stills, real clips, the loop, checkpoints.

Stills, annotated videos and settings come in; weights, their scores and reports go out. May import `agss_model`, and
`fiftyone_plugin` for what a team annotated there.
"""
