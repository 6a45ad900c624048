"""`agss cvat track`: all objects of a CVAT job, tracked and written back; and `agss cvat export`.

The address of a job comes in; shapes and tracks go out to its server, or files in the format of another tool. May
import `agss_model`; a function in CVAT is asked through the server, never imported.
"""
