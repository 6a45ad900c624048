"""A running CVAT server: signing in, its answers within bounds, its annotations and frames.

An address comes in, records and pictures go out. May import the records, identity and exports beside it; needs
cvat-sdk.
"""
