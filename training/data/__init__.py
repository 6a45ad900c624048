"""Clips with masks to learn from.

Stills, and videos of which some frames have masks, come in; `Clips` go out, batches of frames and masks. May import
`agss_model`.
"""
