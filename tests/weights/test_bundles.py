from __future__ import annotations

import json
import os

import pytest
import torch
from typer.testing import CliRunner

from agss_model.cli.main import app
from agss_model.config import preset
from agss_model.errors import OutputError, WeightsError
from agss_model.files import unfinished
from agss_model.network import build_network
from agss_model.weights import bundles
from agss_model.weights.bundles import add_bundle, current_version, find_bundle, published_names, rollback, versions_of
from agss_model.weights.files import save_weights
from agss_model.weights.registry import load_model


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("AGSS_WEIGHTS_DIR", str(tmp_path / "store"))
    return tmp_path / "store"


def publish(name="team", seed=0):
    torch.manual_seed(seed)
    network = build_network(preset("lite"))

    def write(folder, version):
        save_weights(folder / bundles.WEIGHTS, network.state_dict(), network.config, {"version": str(version)})
        (folder / "card.md").write_text(f"# {name} {version}\n")

    return add_bundle(name, write), network


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_published_weights_load_by_name_version_and_folder():
    bundle, network = publish()
    for place in ("team", "team@1", str(bundle.folder), bundle.folder, bundle.weights):
        assert same(load_model(place), network)
    assert set(bundle.files) == {"weights.safetensors", "weights.json", "card.md"}
    bundle.verify()


def test_the_newest_version_is_current_until_it_is_rolled_back():
    _, first = publish(seed=1)
    _, second = publish(seed=2)
    assert same(load_model("team"), second)
    assert CliRunner().invoke(app, ["weights", "rollback", "team"]).exit_code == 0
    assert same(load_model("team"), first)
    assert same(load_model("team@2"), second)
    third, _ = publish(seed=3)
    assert third.version == 3
    assert current_version("team") == 3


def test_there_is_nothing_before_the_first_version():
    publish()
    with pytest.raises(WeightsError, match="version 1 of team is the first"):
        rollback("team")
    with pytest.raises(WeightsError, match="nothing is published as 'other'"):
        rollback("other")


def test_a_damaged_earlier_version_is_not_rolled_back_to():
    first, _ = publish()
    publish(seed=1)
    first.weights.write_bytes(first.weights.read_bytes()[:-8])
    with pytest.raises(WeightsError, match="not what was published"):
        rollback("team")
    assert current_version("team") == 2


def test_weights_changed_after_publishing_are_refused():
    bundle, _ = publish()
    data = bytearray(bundle.weights.read_bytes())
    data[-1] ^= 1
    bundle.weights.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_model("team")


def test_an_interrupted_publication_leaves_nothing(store):
    publish()

    def broken(folder, version):
        (folder / "card.md").write_text("half")
        raise OSError("no space left")

    with pytest.raises(OutputError, match="nothing was published"):
        add_bundle("team", broken)
    assert versions_of("team") == (1,)
    assert sorted(entry.name for entry in (store / "team").iterdir()) == ["0001", "current.json"]


def test_what_killed_publications_left_goes_at_the_next_and_one_at_work_stays(store):
    publish()
    (place,) = store.rglob("0001")
    killed = place.with_name(f".version.{'a' * 16}.part")
    killed.mkdir()
    (killed / "weights.safetensors").write_bytes(b"half")
    os.utime(killed, (0, 0))
    with unfinished(place.with_name("version"), folder=True) as working:
        publish()
        assert not killed.exists()
        assert working.exists()
    assert not working.exists()


@pytest.mark.parametrize("name", ["../team", "a/b", "", ".", "Team", "x" * 65, "team\n"])
def test_names_cannot_leave_the_store(name):
    with pytest.raises(WeightsError, match="no name"):
        add_bundle(name, lambda folder, version: None)
    assert find_bundle(name) is None


def test_a_record_that_names_files_elsewhere_is_refused():
    bundle, _ = publish()
    record = json.loads((bundle.folder / "bundle.json").read_text())
    record["files"]["../../secret"] = "0"
    (bundle.folder / "bundle.json").write_text(json.dumps(record))
    with pytest.raises(WeightsError, match="damaged"):
        load_model("team")


def test_published_names_are_listed():
    publish()
    publish(seed=1)
    publish("other")
    assert published_names() == ("other", "team")
    listed = CliRunner().invoke(app, ["weights", "list"]).output
    assert "team@1" in listed
    assert "team@2 (current)" in listed
    with pytest.raises(WeightsError, match="other, team"):
        load_model("nobody")
    with pytest.raises(WeightsError, match="names no version"):
        load_model("team@new")
