"""Annotations of videos as neutral records; readers of what annotation tools export, and a writer of CVAT's XML."""

from __future__ import annotations

from agss_model.annotations.cvat_api import from_cvat_api
from agss_model.annotations.cvat_meta import Task
from agss_model.annotations.cvat_writer import CvatXmlWriter
from agss_model.annotations.cvat_xml import read_cvat_xml
from agss_model.annotations.records import (
    AnnotatedObject,
    Appearance,
    Include,
    Problem,
    Shape,
    VideoAnnotations,
)

__all__ = [
    "AnnotatedObject",
    "Appearance",
    "CvatXmlWriter",
    "Include",
    "Problem",
    "Shape",
    "Task",
    "VideoAnnotations",
    "from_cvat_api",
    "read_cvat_xml",
]
