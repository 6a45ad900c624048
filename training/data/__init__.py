"""Clips with masks to learn from.

Comes in: stills, and videos of which some frames have masks. Goes out: `Clips`, batches of frames and masks.
Imports `agss_model` only.
"""
