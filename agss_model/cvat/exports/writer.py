"""Writing "CVAT for video 1.1": masks of one task, read back by `read_cvat_xml` pixel for pixel and object for object.

CVAT has no tracks of masks. As in its own exports every mask is a track by itself, ended in the next frame by a copy
with `outside="1"`, and the masks of one object share a group. The group also stands on each mask: there CVAT looks for
it when the file is uploaded as "CVAT 1.1".
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from xml.sax.saxutils import escape, quoteattr

from agss_model.cvat.exports.meta import Task
from agss_model.errors import MaskError, MediaError, OutputError
from agss_model.files import unfinished
from agss_model.masks.labels import BoolMask, validate_object_id
from agss_model.masks.rle import encode_cvat_mask

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class CvatXmlWriter:
    """Writes the masks of one task as they come; one mask is in memory at a time.

    Use it as a context manager: the file gets its name when the block ends well, and is removed when it does not.

    Example:
        >>> with CvatXmlWriter("annotations.xml", task, {1: "person"}) as writer:    # doctest: +SKIP
        ...     writer.put(0, 1, mask)
    """

    def __init__(self, path: str | Path, task: Task, labels: Mapping[int, str]) -> None:
        """Nothing is written yet.

        Args:
            path: of the XML file; what is there is replaced at the end.
            task: name, size, frame numbers and video; `segments` are not written.
            labels: class of each object by its id, which becomes the group.

        Raises:
            MaskError: an id that is none, or an empty label.
            MediaError: a name with characters that XML cannot hold.
        """
        self._path = Path(path)
        self._ending = contextlib.ExitStack()
        self._task = task
        for object_id in labels:
            validate_object_id(object_id)
        if "" in labels.values():
            raise MaskError("an object has no class; CVAT knows no shape without a label, so name it")
        for text in (task.name, task.source, *labels.values()):
            if _NOT_IN_XML.search(text):
                raise MediaError(f"{text!r} holds a character that XML cannot; rename it")
        self._labels = dict(labels)
        self._tracks = 0

    def __enter__(self) -> CvatXmlWriter:
        """Write the head.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            self._part = self._ending.enter_context(unfinished(self._path))
            self._file = self._part.open("w", encoding="utf-8", newline="\n")
            self._file.write(_head(self._task, sorted(set(self._labels.values()))))
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def put(self, index: int, object_id: int, mask: BoolMask, *, human: bool = True, z_order: int = 0) -> None:
        """Write the mask of an object in a frame.

        Args:
            index: of the frame in the task, from 0.
            object_id: one of `labels`.
            mask: (height, width) bool with at least one pixel set.
            human: drawn or corrected by a human; otherwise its source is `auto`.
            z_order: where masks overlap the highest shows.

        Raises:
            MediaError: the frame is not one of the task's.
            MaskError: an object without a label, a mask of another size or without a pixel.
            OutputError: the file cannot be written.
        """
        task = self._task
        if not 0 <= index < task.frame_count:
            raise MediaError(f"frame {index} is outside {task.name}, which has frames 0 to {task.frame_count - 1}")
        if object_id not in self._labels:
            raise MaskError(f"object {object_id} has no label; there are {sorted(self._labels)}")
        if mask.shape != (task.height, task.width):
            raise MaskError(
                f"frame {index}, object {object_id}: the mask has {mask.shape[1]}x{mask.shape[0]} pixels, the frames "
                f"of {task.name} have {task.width}x{task.height}"
            )
        frame = task.start_frame + index * task.frame_step
        end = task.start_frame + (task.frame_count - 1) * task.frame_step
        shape = _shape(mask, object_id, z_order)
        # CVAT leaves the copy out in the last two frames.
        outside = _mask(frame + task.frame_step, shape, outside=True) if frame + task.frame_step < end else ""
        head = (
            f'  <track id="{self._tracks}" label={quoteattr(self._labels[object_id])} '
            f'source="{"manual" if human else "auto"}" group_id="{object_id}">\n'
        )
        try:
            self._file.write(f"{head}{_mask(frame, shape)}{outside}  </track>\n")
        except OSError as error:
            raise self._unwritable(error) from error
        self._tracks += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:  # fmt: skip
        """Give the file its name, or remove it.

        Raises:
            OutputError: the file cannot be written.
        """
        try:
            with self._file:
                if kind is None:
                    self._file.write("</annotations>\n")
            if kind is None:
                self._part.replace(self._path)
        except OSError as failure:
            raise self._unwritable(failure) from failure
        finally:
            self._ending.close()

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write {self._path}: {error.strerror or error}")


def _shape(mask: BoolMask, object_id: int, z_order: int) -> str:
    *runs, left, top, right, bottom = encode_cvat_mask(mask)
    return (
        f'occluded="0" rle="{", ".join(map(str, runs))}" left="{left}" top="{top}" width="{right - left + 1}" '
        f'height="{bottom - top + 1}" z_order="{z_order}" group_id="{object_id}"'
    )


def _mask(frame: int, shape: str, *, outside: bool = False) -> str:
    return f'    <mask frame="{frame}" keyframe="1" outside="{int(outside)}" {shape}>\n    </mask>\n'


def _head(task: Task, labels: Iterable[str]) -> str:
    number = "" if task.number is None else f"      <id>{task.number}</id>\n"
    last = task.start_frame + (task.frame_count - 1) * task.frame_step
    step = f"step={task.frame_step}" if task.frame_step > 1 else ""
    source = f"      <source>{escape(task.source)}</source>\n" if task.source else ""
    names = "".join(
        f"        <label>\n          <name>{escape(name)}</name>\n          <type>any</type>\n"
        "          <attributes>\n          </attributes>\n        </label>\n"
        for name in labels
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
        f"{number}      <name>{escape(task.name)}</name>\n      <size>{task.frame_count}</size>\n"
        f"      <mode>{'interpolation' if task.source else 'annotation'}</mode>\n      <overlap>0</overlap>\n"
        f"      <start_frame>{task.start_frame}</start_frame>\n      <stop_frame>{last}</stop_frame>\n"
        f"      <frame_filter>{step}</frame_filter>\n      <labels>\n{names}      </labels>\n"
        f"      <original_size>\n        <width>{task.width}</width>\n        <height>{task.height}</height>\n"
        f"      </original_size>\n{source}    </task>\n  </meta>\n"
    )
