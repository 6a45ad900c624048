"""Annotations of videos as neutral records, and readers of what annotation tools export."""

from __future__ import annotations

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
    "Include",
    "Problem",
    "Shape",
    "VideoAnnotations",
    "read_cvat_xml",
]
