"""The weights that the package ships, with their model card.

Comes in: a finished run and its scores. Goes out: the files below `agss_model/weights/shipped`.
Imports `training.loop` and `training.data`; nothing imports it.
"""
