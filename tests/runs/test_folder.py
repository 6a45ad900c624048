from __future__ import annotations

import json
from pathlib import Path

import pytest

from agss_model.errors import OutputError
from agss_model.files import sha256_of
from agss_model.runs.folder import RunFolder
from agss_model.runs.scores import Row, append_log


class Killed(BaseException):
    """Ends everything at once."""


def make(root, run, count, word, *, overwrite=False, masks="a"):
    """A run as the command makes it, of `count` masks that hold `word`; which frames it made."""
    told = {str(number): {"sha256": digest, "objects": [1], "absent": []} for number, digest in enumerate(masks)}
    asked = {"source": {"frames": 5, "from": 0, "to": count - 1}, "masks": told, "direction": "both", "run": run}
    folder = RunFolder(root)
    with folder.opened():
        standing = folder.standing(asked, overwrite=overwrite)
        if standing == "complete":
            return []
        if standing != "unfinished":
            folder.begin(asked, anew=overwrite)
        done = folder.resume(asked)
        missing = [number for number in range(count) if number not in done]
        for number in missing:
            folder.here.keep(folder.here.mask(number), f"{word} {number}".encode())
            append_log(folder.here.log, number, [Row(number, 1, 1.0, False, (), True, 1)])
        folder.publish_scores()
        folder.finish(asked)
    return missing


def contents(root):
    return {path.name: path.read_text() for path in (root / "masks").iterdir()}


def kill_at(monkeypatch, moment):
    """Raise at the `moment`-th rename, removal or new folder from now on, before or after it happens."""
    count = 0

    def dying(real):
        def step(self, *arguments, **options):
            nonlocal count
            count += 1
            if count == moment:
                raise Killed
            done = real(self, *arguments, **options)
            count += 1
            if count == moment:
                raise Killed
            return done

        return step

    for name in ("replace", "unlink", "rmdir", "mkdir", "rename"):
        monkeypatch.setattr(Path, name, dying(getattr(Path, name)))


def test_killed_at_any_step_a_run_can_be_repeated_and_nobodys_file_is_lost(tmp_path, monkeypatch):
    moment = 1
    while killed_then_repeated(tmp_path / str(moment), monkeypatch, moment):
        moment += 1
    assert moment > 60  # there are that many steps to die at


def killed_then_repeated(folder, monkeypatch, moment):
    """Whether the replacing run died at that step; it is looked at, then made once more."""
    root = folder / "out"
    make(root, 1, 5, "old")
    (folder / "beside.txt").write_text("mine")
    old = {f"{number:05d}.png": f"old {number}" for number in range(5)}
    new = {f"{number:05d}.png": f"new {number}" for number in range(3)}
    died = False
    with monkeypatch.context() as patch:
        kill_at(patch, moment)
        try:
            make(root, 2, 3, "new", overwrite=True)
        except Killed:
            died = True
    now = contents(root)
    for name in old.keys() | new.keys():  # every frame has its old or its new mask, whole
        assert now.get(name, old.get(name)) in (old.get(name), new.get(name))
    make(root, 2, 3, "new", overwrite=True)
    assert contents(root) == new
    assert sorted(path.name for path in root.iterdir()) == ["masks", "run.json", "scores.csv"]
    assert (folder / "beside.txt").read_text() == "mine"
    return died


def test_leftovers_of_killed_processes_are_removed_at_the_next_start(tmp_path):
    root = tmp_path / "out"
    make(root, 1, 2, "old")
    left = (root / ".scores.csv.0123456789abcdef.part", root / "masks" / ".00000.png.0123456789abcdef.part")
    for path in left:
        path.write_text("half")
    (root / ".mine.part").write_text("mine")
    make(root, 1, 2, "old")
    assert not any(path.exists() for path in left)
    assert (root / ".mine.part").exists()


def test_a_file_that_somebody_puts_where_the_run_is_about_to_write_stays(tmp_path):
    asked = {"source": {"frames": 2, "from": 0, "to": 1}, "masks": {}, "direction": "both"}
    folder = RunFolder(tmp_path)
    with folder.opened():
        folder.standing(asked)
        folder.begin(asked)
        folder.resume(asked)
        folder.here.keep(folder.here.mask(0), b"ours")
        folder.here.keep(folder.here.mask(0), b"ours, again")
        folder.here.mask(1).write_text("mine")
        with pytest.raises(OutputError, match=r"00001\.png came from somebody else"):
            folder.here.keep(folder.here.mask(1), b"ours")
    assert folder.here.mask(1).read_text() == "mine"


@pytest.mark.parametrize("place", [".", ".next"])
@pytest.mark.parametrize("name", ["../payload", "/etc/passwd", "masks/../../payload", "run.json"])
def test_a_record_that_names_files_elsewhere_moves_nothing_there(tmp_path, place, name):
    root = tmp_path / "deep" / "out"
    make(root, 1, 2, "old")
    (root / "payload").write_text("of somebody else")
    record = json.loads((root / "run.json").read_text())
    record["files"][name] = sha256_of(root / "payload")
    (root / place).mkdir(exist_ok=True)
    (root / place / "run.json").write_text(json.dumps(record))
    with pytest.raises(OutputError, match=r"no record of a run .*it names"):
        make(root, 2, 2, "new", overwrite=True)
    assert (root / "payload").exists()
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]
