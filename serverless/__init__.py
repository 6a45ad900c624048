"""AGSS-VOS behind CVAT: the Nuclio function, the job that tracks a whole CVAT job, and the SDK function.

Requests and annotations of CVAT come in, masks in CVAT's forms go out. May import `agss_model`.
"""
