"""A team's annotated videos, wherever they are kept, read into one form.

Comes in: FiftyOne datasets, CVAT exports and servers, folders. Goes out: `TeamVideo`s, split, prepared to learn from.
Imports `agss_model` and `training.data`.
"""
