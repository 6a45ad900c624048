"""A pipe in the place of a file is refused at once; whoever opened it would wait for ever."""

from __future__ import annotations

import os

import numpy as np
import pytest

from agss_model.cvat import read_cvat_xml
from agss_model.errors import AgssError, MediaError
from agss_model.masks import read_label_map
from agss_model.runs.given.keyframes import read_absent, read_keyframes
from agss_model.video import open_source

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")


class Clip:
    name, size, fps = "clip", (40, 30), 25.0

    def __len__(self):
        return 3

    def read(self, index):
        return np.zeros((30, 40, 3), np.uint8)


READERS = {
    "clip.mp4": open_source,
    "page.tif": open_source,
    "frame.png": lambda path: open_source(path.parent),
    "mask.png": read_label_map,
    "00001.png": lambda path: read_keyframes(path, Clip()),
    "annotations.xml": read_cvat_xml,
    "coco.json": lambda path: read_keyframes(path, Clip()),
    "0.json": read_absent,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.timeout(60)
def test_a_pipe_is_no_file(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(AgssError, match=r"pipe or device|is not a file"):
        READERS[name](tmp_path / name)


@pytest.mark.parametrize("first", ["1e400", "nan", "1"])
def test_numbers_beyond_all_bounds_are_named_with_file_and_line(tmp_path, first):
    shape = f'points="{first},2;3,4;5,6"' + (' z_order="1e400"' if first == "1" else "")
    path = tmp_path / "annotations.xml"
    path.write_text(
        "<annotations><version>1.1</version><meta><task><id>1</id><name>a</name><size>3</size><mode>interpolation</mode>"
        "<original_size><width>40</width><height>30</height></original_size></task></meta>\n"
        f'<track id="0" label="person"><polygon frame="0" keyframe="1" outside="0" occluded="0" {shape}/></track>'
        "</annotations>"
    )
    with pytest.raises(MediaError, match=r"annotations\.xml, line 2"):
        read_cvat_xml(path)
