from __future__ import annotations

from agss_model.system.environment import version_of


def test_a_module_that_a_package_of_another_name_brings_has_its_version(tmp_path, monkeypatch):
    """As onnxruntime-gpu brings onnxruntime; and what lies there without a package stops nothing."""
    about = tmp_path / "little_engine_gpu-9.8.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: little-engine-gpu\nVersion: 9.8\n")
    (about / "top_level.txt").write_text("little_engine\n")
    (tmp_path / "little_engine").mkdir()
    (tmp_path / "left_behind").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert version_of("little_engine") == "9.8"
    assert version_of("left_behind") == "unknown"
    assert version_of("numpy")[0].isdigit()
