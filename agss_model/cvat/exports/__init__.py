"""The XML that CVAT exports and imports.

Files come in, records go out, and back. May import `masks`, and `records`, `checks`, `identity` and `authorship`
beside it.
"""
