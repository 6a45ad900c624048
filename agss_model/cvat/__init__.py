"""Annotations of videos as neutral records; readers of what annotation tools export, and a writer of CVAT's XML."""

from __future__ import annotations

from agss_model.cvat.authorship import Names
from agss_model.cvat.exports.meta import Task
from agss_model.cvat.exports.writer import CvatXmlWriter
from agss_model.cvat.exports.xml import read_cvat_xml
from agss_model.cvat.records import (
    AnnotatedObject,
    Appearance,
    CvatShape,
    Include,
    Problem,
    VideoAnnotations,
)
from agss_model.cvat.server.api import from_cvat_api

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
