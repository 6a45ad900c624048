"""Masks for clips that nobody annotated, to train on: what stands out, tracked there and back, kept where both agree.

Clips and photographs with masks come in; a folder in DAVIS' layout goes out, which a run takes as a source. May import
`agss_model`, `training.annotations` and `training.data`.
"""
