"""Kills at random moments, with files of other people in the folder: none of theirs is lost, and the run is finished.

`AGSS_KILLS=50` tries fifty times each, `AGSS_KILLS_REPORT=FILE` writes what was found.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from kills import KILLS as TRIES
from kills import Work
from kills import command as agss
from little_clip import COUNT, snapshot

REPORT = os.environ.get("AGSS_KILLS_REPORT")
MOST = 3  # kills of one run
PLACES = (
    "notes.txt", "masks/00077.png", "masks/notes.txt", "drawn/00000.png", "overlay/mine.jpg", "overlay.avi",
    ".next/notes.txt", ".next/masks/00055.png", ".states/thoughts", ".progress/thoughts",
)  # fmt: skip
OVER = ("masks/00003.png", "scores.csv", "overlay.mp4", "overlay/00002.jpg", ".next/masks/00004.png")


class Others:
    """What other people keep in the folder."""

    def __init__(self, out: Path, saved: Path, rng: np.random.Generator) -> None:
        self.out, self.saved, self.rng = out, saved, rng
        self.here: dict[str, bytes] = {}
        self.count = 0

    def put(self, places: tuple[str, ...]) -> None:
        """A file in one of these places, or somebody's edit of the file there."""
        name = places[self.rng.integers(len(places))]
        path = self.out / name
        if name in self.here or (name.startswith(".") and not path.parent.is_dir()):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        content = self.rng.bytes(40)
        path.write_bytes(content)
        self.here[name], self.count = content, self.count + 1

    def check(self) -> None:
        lost = [name for name, content in self.here.items() if not same(self.out / name, content)]
        assert not lost, lost

    def move_away(self) -> None:
        self.check()
        for name in self.here:
            target = self.saved / f"{len(list(self.saved.iterdir()))}"
            shutil.move(self.out / name, target)
        for folder in sorted(self.out.rglob("*"), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()) and folder.name in ("drawn", "overlay"):
                folder.rmdir()
        self.here = {}


def same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def killed(words, log, rng, others):
    """Start the command, let somebody put files into the folder meanwhile, and kill it; None if it had not ended."""
    process = Work(agss, *words, log=log).start()
    for stage in sorted(rng.integers(0, COUNT + 4, 2)):
        while process.is_alive() and reached(others.out) < stage:
            process.join(0.0005)
        process.join(rng.uniform(0, 0.02))
        if others.out.is_dir() and process.is_alive():
            others.put(PLACES)
    process.join(rng.uniform(0, 0.05))
    ended = process.exitcode
    process.kill()
    process.join()
    return ended


def reached(out):
    """How far a run is: its record, its masks, and what comes after them."""
    for root in (out / ".next", out):
        log = root / ".progress" / "written.txt"
        try:
            return 1 + len(log.read_text().splitlines())
        except OSError:
            continue
    return int((out / "run.json").exists() or (out / ".next").is_dir())


def finished(words, log):
    process = Work(agss, *words, log=log).start()
    process.join(300)
    assert process.exitcode is not None
    return process.exitcode


def command(clip, out, *more):
    words = ["track", clip / "clip.mp4", "--masks", clip / "truth/00000.png", "--out", out]
    return [*words, "--weights", "propagation", "--device", "cpu", "--threads", "1", *more]


KINDS = {"replacing": ("--overwrite", "--to", "7"), "fresh": (), "drawing": ("--overlay", "frames")}


@pytest.mark.slow
@pytest.mark.timeout(120 * TRIES + 300)
@pytest.mark.parametrize("kind", KINDS)
def test_random_kills_cost_nobody_a_file(clip, done, tmp_path, kind):
    kills = files = refusals = 0
    for number in range(TRIES):
        rng, root = np.random.default_rng([number, *kind.encode()]), tmp_path / str(number)
        found = one_try(kind, clip, done, root, rng)
        kills, files, refusals = kills + found[0], files + found[1], refusals + found[2]
    if REPORT:
        told = json.loads(Path(REPORT).read_text()) if Path(REPORT).is_file() else {}
        told[kind] = {"tries": TRIES, "kills": kills, "files of others": files, "refused": refusals, "lost": 0}
        Path(REPORT).write_text(json.dumps(told, indent=2) + "\n")


def one_try(kind, clip, done, root, rng):
    """Kill until it has ended or a few times, then let it finish; kills, files of others, and refusals."""
    out, log = root / "out", root / "log"
    (root / "saved").mkdir(parents=True)
    if kind != "fresh":
        shutil.copytree(done, out)
    others, words = Others(out, root / "saved", rng), command(clip, out, *KINDS[kind])
    kills = refusals = 0
    for _ in range(rng.integers(1, MOST + 1)):
        ended = killed(words, log, rng, others)
        others.check()
        kills += ended is None
        refusals += ended == 2
        if ended == 0:
            break
        if out.is_dir() and rng.random() < 0.5:
            others.put(OVER if rng.random() < 0.5 else PLACES)
        if ended == 2 and rng.random() < 0.7:
            others.move_away()
    for _ in range(3):
        code = finished(words, log)
        others.check()
        if code == 0:
            break
        assert code == 2, log.read_text()
        refusals += 1
        others.move_away()
    others.move_away()
    again = [word for word in words if word != "--overwrite"]
    if finished(again, log):  # a mask of the finished run was drawn over, and moved away with the drawing
        assert "lacks 1 of its files" in log.read_text()
        assert finished([*again, "--overwrite"], log) == 0, log.read_text()
    masks, whole = snapshot(out / "masks"), snapshot(done / "masks")
    assert masks == dict(list(whole.items())[: 8 if kind == "replacing" else COUNT])
    assert len(list((root / "saved").iterdir())) == others.count
    return kills, others.count, refusals
