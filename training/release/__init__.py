"""The weights that the package ships, with their model card.

A finished run and its scores come in; the files below `agss_model/weights/shipped` go out. May import `agss_model` and
`training.loop`; `training.team` takes the model card from here.
"""
