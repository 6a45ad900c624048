"""Which images make a sequence, noted at the field that was tracked, so that everybody sees the same one."""

from __future__ import annotations

import fiftyone as fo
from fiftyone.core.collections import SampleCollection
from fiftyone.core.stages import GroupBy

from fiftyone_plugin.data.fields import Field

Order = tuple[str | None, str | None]
"""`sort_field` and `group_field`, as `fiftyone_plugin.data.clips.find_clips` takes them."""


def order_for(collection: SampleCollection, given: Order, *names: str) -> Order:
    """The order to take: what was given, else that of a view in dynamic groups, else what the first field notes.

    Args:
        collection: a dataset or view.
        given: by a user.
        names: of label fields, with or without "frames.".
    """
    if any(given) or getattr(collection, "_is_dynamic_groups", False):
        return given
    noted = (known_order(collection._dataset, name) for name in names)
    return next((order for order in noted if any(order)), given)


def order_of(collection: SampleCollection, given: Order) -> Order:
    """The order to note: what was given, or the fields by which a view is in dynamic groups."""
    for stage in getattr(collection, "_stages", None) or ():
        if isinstance(stage, GroupBy) and not any(given) and not stage.reverse and isinstance(stage.field_or_expr, str):
            return stage.order_by, stage.field_or_expr
    return given


def remember_order(dataset: fo.Dataset, field: Field, order: Order) -> None:
    """Note at a field of images which of them made a sequence, so that it can be shown as one."""
    known = dataset.get_field(field.path)
    noted = dict(zip(("sort_field", "group_field"), order, strict=True))
    if not field.of_frames and noted.items() - (known.info or {}).items():
        known.info = {**(known.info or {}), **noted}
        known.save()


def known_order(dataset: fo.Dataset, name: str) -> Order:
    """What was noted at a field of images."""
    info = getattr(dataset.get_field(name.removeprefix("frames.")), "info", None) or {}
    return info.get("sort_field"), info.get("group_field")
