"""A team's annotated videos, wherever they are kept, read into one form.

FiftyOne datasets, CVAT exports and servers, and folders come in; `TeamVideo`s go out, split, prepared to learn from.
May import `agss_model`, `training.data` and, for FiftyOne's datasets, `fiftyone_plugin.data`.
"""
