"""A team's annotated videos, from wherever they are, as one kind of thing.

Comes in: FiftyOne datasets, CVAT exports and servers, folders. Goes out: `TeamVideo`s, split, prepared to learn from.
Imports `agss_model` and `training.data`.
"""
