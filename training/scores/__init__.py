"""Fitting the head that says how far a mask can be trusted, on what the tracker itself gets right and wrong.

Annotated clips, stills and weights come in; tables of what was tracked go out, and a head fitted to them. May import
`agss_model`, `training.data` and `training.synthesis`.
"""
