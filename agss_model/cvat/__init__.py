"""Annotations of videos as neutral records; readers of what annotation tools export, and a writer of CVAT's XML."""

from __future__ import annotations

from agss_model.cvat.api import from_cvat_api
from agss_model.cvat.authorship import Names
from agss_model.cvat.meta import Task
from agss_model.cvat.records import (
    AnnotatedObject,
    Appearance,
    CvatShape,
    Include,
    Problem,
    VideoAnnotations,
)
from agss_model.cvat.writer import CvatXmlWriter
from agss_model.cvat.xml import read_cvat_xml

__all__ = [
    "AnnotatedObject",
    "Appearance",
    "CvatShape",
    "CvatXmlWriter",
    "Include",
    "Names",
    "Problem",
    "Task",
    "VideoAnnotations",
    "from_cvat_api",
    "read_cvat_xml",
]
