"""Annotations of videos as neutral records, in CVAT's XML and on its server.

CVAT's files and answers come in as records with identity and author; masks go out as XML, and as polygons with few
keyframes. May import `masks`, `tracking`, `video` and `system`.
"""

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
