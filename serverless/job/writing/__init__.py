"""Writing into a CVAT job: shapes and tracks as CVAT takes them, in place of our own only.

Masks of a run and its plan come in, requests to the server go out. May import `agss_model`, and `ledger`, `objects`,
`plan` and `read` beside it.
"""
