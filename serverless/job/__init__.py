"""`agss cvat track`: all objects of a CVAT job, tracked and written back."""
