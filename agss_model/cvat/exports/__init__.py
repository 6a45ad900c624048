"""The XML that CVAT exports and imports.

Files come in, records go out, and back. May import the records, identity and authorship beside it.
"""
