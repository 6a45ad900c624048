"""Which clip of a dataset annotation files are about."""

from __future__ import annotations

from pathlib import Path

import fiftyone as fo

from agss_model.cvat import VideoAnnotations
from agss_model.errors import MediaError
from agss_model.evaluation import Sequence
from agss_model.video.images import image_folder
from agss_model.words import plural
from fiftyone_plugin.data.clips import Clip, find_clips
from fiftyone_plugin.data.collections import flat
from fiftyone_plugin.data.database import guarded
from fiftyone_plugin.exchange.naming import folder_name

XML, IMAGES = "annotations.xml", "images"

SEQUENCE, NUMBER = "sequence", "frame_number"
"""Fields of samples that are made for the frames of a folder."""


def xml_files(path: Path) -> list[Path]:
    """CVAT's files at a place: the file itself, or those in a folder or in the folders in it.

    Raises:
        MediaError: there is none.
    """
    if not path.is_dir():
        return [path]
    found = [path / XML] if (path / XML).is_file() else sorted(path.glob(f"*/{XML}"))
    if not found:
        raise MediaError(f"neither {path} nor a folder in it holds {XML}; give the file, or the folder of an export")
    return found


class Matching:
    """Finds clips by the names of files; images that are not in the dataset are added to it."""

    def __init__(self, dataset: fo.Dataset, sort_field: str | None = None, group_field: str | None = None) -> None:
        """Prepare; nothing is looked up yet. `sort_field` and `group_field` make clips of images, see `find_clips`."""
        self._dataset, self._order = dataset, (sort_field, group_field)
        self.added = 0
        """Images that were added."""

    @property
    def _kind(self) -> str | None:
        kind: str | None = (flat(self._dataset) if len(self._dataset) else self._dataset).media_type
        return kind

    def of_folder(self, sequence: Sequence) -> Clip:
        """The video or the images that a folder of frames belongs to.

        Raises:
            MediaError: there is none, or it has another number of frames.
        """
        if self._kind == "video":
            clip = self._named(sequence.name)
            with clip.open() as source:
                if len(source) != len(sequence.frames):
                    raise MediaError(
                        f"the folder has {plural(len(sequence.frames), 'frame')}, but {clip.name} has {len(source)}; "
                        "they must be the same for masks to belong to the right frames"
                    )
            return clip
        self._check_images()
        return self._images(sequence.name, list(sequence.frames))

    def of_task(self, annotations: VideoAnnotations, xml: Path) -> Clip:
        """The video or the images that a task of CVAT is about.

        Raises:
            MediaError: there is none, or its frames are others.
        """
        if self._kind == "video":
            clip = self._named(Path(annotations.source or annotations.name).stem)
        else:
            self._check_images()
            clip = self._known_images(annotations.name) or self._images_beside(annotations, xml)
        with clip.open() as source:
            size, frames = source.size, len(source)
        if size != (annotations.width, annotations.height):
            raise MediaError(
                f"the masks are for frames of {annotations.width}x{annotations.height}, but {clip.name} has "
                f"{size[0]}x{size[1]}; import onto what was annotated"
            )
        last = frame_in(clip, annotations, max(annotations.frame_count - 1, 0))
        if last >= frames:
            raise MediaError(f"the annotations reach frame {last}, but {clip.name} ends with frame {frames - 1}")
        return clip

    def _check_images(self) -> None:
        if self._kind not in (None, "image") or self._dataset.media_type == "group":
            raise MediaError(f"a dataset of {self._dataset.media_type!r} cannot take these files; use another one")

    def _named(self, stem: str) -> Clip:
        clips = [clip for clip in find_clips(self._dataset) if Path(clip.paths[0]).stem == stem]
        if len(clips) != 1:
            how = "no video" if not clips else f"{len(clips)} videos"
            raise MediaError(f"the dataset has {how} called {stem!r}; names of files tell which annotations are whose")
        return clips[0]

    def _known_images(self, name: str) -> Clip | None:
        """The clip that was exported under this name."""
        clips = find_clips(self._dataset, *self._order) if len(self._dataset) else []
        found = [clip for clip in clips if name in (folder_name(clip), clip.name)]
        if len(found) > 1:
            raise MediaError(f"the dataset has {len(found)} sequences called {name!r}; name them apart")
        return found[0] if found else None

    def _images_beside(self, annotations: VideoAnnotations, xml: Path) -> Clip:
        folder = xml.parent / IMAGES
        if not folder.is_dir():
            raise MediaError(
                f"the dataset has no sequence of images called {annotations.name!r}, and there is no folder {folder}; "
                "put the images there, or say by which field images are grouped (group_field)"
            )
        return self._images(annotations.name, list(image_folder(folder).paths))

    def _images(self, name: str, files: list[Path]) -> Clip:
        """Images by their paths; those that are missing are added."""
        paths = [str(path.resolve()) for path in files]
        ids, known = self._dataset.values(["id", "filepath"]) if len(self._dataset) else ([], [])
        by_path = dict(zip(known, ids, strict=True))
        missing = [number for number, path in enumerate(paths) if path not in by_path]
        samples = [fo.Sample(paths[number], **{SEQUENCE: name, NUMBER: number}) for number in missing]
        added = guarded(lambda: self._dataset.add_samples(samples, progress=False)) if samples else []
        by_path |= {paths[number]: sample_id for number, sample_id in zip(missing, added, strict=True)}
        self.added += len(missing)
        return Clip(name, tuple(by_path[path] for path in paths), tuple(paths), False)


def frame_in(clip: Clip, annotations: VideoAnnotations, index: int) -> int:
    """Number in a clip of a frame of a task: images may be those of the task rather than those it was made from."""
    own = not clip.is_video and len(clip.samples) == annotations.frame_count
    return index if own else annotations.source_frame(index)
