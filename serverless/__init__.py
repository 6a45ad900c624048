"""AGSS-VOS behind CVAT: the Nuclio function, the job that tracks a whole CVAT job, and the SDK function."""
