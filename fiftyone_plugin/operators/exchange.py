"""The operators `export_training` and `import_annotations`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone.core.collections import SampleCollection

from agss_model.cvat import Include
from agss_model.errors import ConfigError
from fiftyone_plugin.data.clips import find_clips
from fiftyone_plugin.data.collections import readable
from fiftyone_plugin.data.fields import MASKS, input_field
from fiftyone_plugin.exchange.exporting import LAYOUTS, Exporter, Which
from fiftyone_plugin.exchange.importing import FORMATS, Importer
from fiftyone_plugin.operators.common import Base, Job, ask_order, choose, choose_tracks, chosen_order


class ExportTraining(Base):
    """Clips with their masks as files."""

    NAME = "export_training"
    LABEL = "Export for training"
    ICON = "export"
    DESCRIPTION = "Exact masks for DAVIS, YouTube-VOS, COCO, YOLO, CVAT, LabelMe or a video editor"

    def form(self, ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection) -> None:
        """Add field, folder and layout to the form."""
        choose_tracks(ctx, inputs, view, "label_field", "Field with masks")
        inputs.str("export_dir", label="Folder", required=True, description="On the machine that runs FiftyOne")
        choose(
            inputs, "layout", LAYOUTS, "Layout", default="davis",
            description="davis, youtube-vos: images and label maps; cvat-video: the video with CVAT's XML; others: a "
            "folder for each clip",
        )  # fmt: skip
        choose(
            inputs, "labels", get_args(Which), "Masks", default="human",
            description="human: what a human drew, and but for CVAT only where that is every object; all: every mask",
        )  # fmt: skip
        ask_order(inputs, view)

    def job(self, ctx: foo.ExecutionContext, view: SampleCollection) -> Job:
        """Check; then write clip by clip."""
        given = ctx.params
        clips = find_clips(view, *chosen_order(view, given, given.get("label_field", "")))
        samples = readable(view)
        labels = input_field(samples, given.get("label_field", ""), MASKS[:1])
        folder, layout, which = given.get("export_dir", ""), given.get("layout", "davis"), given.get("labels", "human")
        return Exporter(samples, clips, labels, Path(str(folder)), layout, which)

    def __call__(
        self,
        sample_collection: SampleCollection,
        label_field: str,
        export_dir: str,
        *,
        layout: str = "davis",
        labels: str = "human",
        sort_field: str | None = None,
        group_field: str | None = None,
        delegate: bool = False,
    ) -> Any:  # noqa: ANN401 - a dict, or FiftyOne's record of a delegated operation
        """Write clips with their masks.

        Args:
            sample_collection: a dataset or view.
            label_field: holds the masks.
            export_dir: a folder; sequences that are there already are not overwritten.
            layout: "davis" or "youtube-vos": each frame as an image, each frame with masks as a label map;
                "cvat-video": for each video a folder with `annotations.xml` ("CVAT for video 1.1") and the video,
                linked or copied; "coco", "coco-video", "yolo", "labelme", "rle-json", "alpha-video": a folder for each
                clip, as `agss export` writes it.
            labels: "human" for what a human drew, and but for CVAT and "rle-json" only in frames in which that is every
                object; "all" for every mask.
            sort_field: orders images.
            group_field: tells sequences of images apart.
            delegate: queue it instead of running it now.

        Returns:
            A dict with the names of the `sequences`, the number of `frames` with masks, and a `summary`.

        Raises:
            AgssError: what was wrong.
        """
        return self.run(
            sample_collection, delegate, label_field=label_field, export_dir=str(export_dir), layout=layout,
            labels=labels, sort_field=sort_field, group_field=group_field,
        )  # fmt: skip


class ImportAnnotations(Base):
    """Masks from files onto the frames they belong to."""

    NAME = "import_annotations"
    LABEL = "Import annotations"
    ICON = "import"
    DESCRIPTION = "Exact masks of a DAVIS or YouTube-VOS folder, or of CVAT's video XML, as labels"
    WRITES = True

    def resolve_input(self, ctx: foo.ExecutionContext) -> types.Property:
        """The form; whole datasets only, as files name the clips."""
        inputs = types.Object()
        self.form(ctx, inputs, ctx.dataset)
        return types.Property(inputs, view=types.View(label=self.LABEL))

    def form(self, ctx: foo.ExecutionContext, inputs: types.Object, view: SampleCollection) -> None:
        """Add path, format and field to the form."""
        inputs.str("path", label="Folder or file", required=True, description="On the machine that runs FiftyOne")
        choose(inputs, "format", FORMATS, "Format", default="cvat")
        inputs.str("label_field", label="Write to", default="ground_truth", required=True)
        if ctx.params.get("format", "cvat") == "cvat":
            choose(
                inputs, "include", get_args(Include), "Shapes", default="human",
                description="human: drawn ones; interpolated: also those in between; all: also automatic ones",
            )  # fmt: skip
            ask_order(inputs, view)

    def job(self, ctx: foo.ExecutionContext, view: SampleCollection) -> Job:
        """Check and read; then write clip by clip."""
        given = ctx.params
        if not given.get("path"):
            raise ConfigError("no path was given; say which folder or XML file to import.")
        name, include = given.get("label_field", "ground_truth"), given.get("include", "human")
        order = given.get("sort_field"), given.get("group_field")
        return Importer(ctx.dataset, Path(given["path"]), given.get("format", "cvat"), name, include, *order)

    def __call__(
        self,
        dataset: SampleCollection,
        path: str,
        label_field: str = "ground_truth",
        *,
        format: str = "cvat",
        include: str = "human",
        sort_field: str | None = None,
        group_field: str | None = None,
        delegate: bool = False,
    ) -> Any:  # noqa: ANN401 - a dict, or FiftyOne's record of a delegated operation
        """Import masks.

        Args:
            dataset: with the videos or images that were annotated; an empty one is filled from a folder.
            path: a folder; of CVAT the XML ("CVAT for video 1.1"), its folder, or a folder of such folders.
            label_field: to write; it must hold no labels on these clips.
            format: "davis", "youtube-vos" or "cvat".
            include: of CVAT's shapes "human", "interpolated" or "all"; predictions stay predictions.
            sort_field: orders images that a task of CVAT is about.
            group_field: tells sequences of such images apart.
            delegate: queue it instead of running it now.

        Returns:
            A dict with the numbers of `clips`, `frames` and `objects`, and a `summary`.

        Raises:
            AgssError: what was wrong.
        """
        return self.run(
            dataset, delegate, path=str(path), label_field=label_field, format=format, include=include,
            sort_field=sort_field, group_field=group_field,
        )  # fmt: skip
