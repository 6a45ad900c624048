"""function.yaml, read strictly: Nuclio leaves out misspelt keys without a word."""

from __future__ import annotations

import copy
import importlib
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from agss_model.errors import ConfigError
from agss_model.masks import SHAPE_TYPES
from serverless.function import contract
from serverless.local.function_file import KNOWN, check_keys, read_function_file, seconds

ROOT = Path(__file__).resolve().parents[3]
GPU, CPU = ROOT / "function.yaml", ROOT / "serverless" / "function-cpu.yaml"
BOTH = pytest.mark.parametrize("path", [GPU, CPU], ids=["gpu", "cpu"])
INSTRUCTIONS = {"RUN", "ENV", "USER", "WORKDIR", "COPY", "ADD", "LABEL", "ARG"}


@pytest.fixture
def document():
    return yaml.safe_load(GPU.read_text())


@BOTH
def test_every_key_is_one_that_nuclio_or_cvat_reads(path):
    read_function_file(path)


@pytest.mark.parametrize(
    ("place", "wrong", "meant"),
    [
        (("spec",), "eventTimout", "eventTimeout"),
        (("spec", "triggers", "http"), "maxWorkers", None),
        (("spec", "triggers", "http", "attributes"), "maxRequestBodysize", "maxRequestBodySize"),
        (("spec", "build"), "baseimage", "baseImage"),
        (("metadata", "annotations"), "supported_shapes_types", "supported_shape_types"),
        ((), "specs", "spec"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(document, place, wrong, meant):
    part = document
    for name in place:
        part = part[name]
    part[wrong] = 1
    with pytest.raises(ConfigError, match=f"'{wrong}'") as error:
        check_keys(document, KNOWN, "function.yaml")
    assert meant is None or f"did you mean '{meant}'" in str(error.value)


@BOTH
def test_the_name_is_a_dns_label_and_the_annotations_are_what_cvat_reads(path):
    metadata = read_function_file(path).document["metadata"]
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", metadata["name"])
    notes = metadata["annotations"]
    assert notes["type"] == "tracker"
    assert notes["supported_shape_types"].split(",") == list(SHAPE_TYPES)
    assert str(int(notes["version"])) == notes["version"]
    assert not notes["spec"]


@BOTH
def test_there_is_a_description_without_which_cvat_lists_no_function_at_all(path):
    assert read_function_file(path).document["spec"]["description"]


@BOTH
def test_the_runtime_is_the_python_of_the_base_image(path):
    spec = read_function_file(path).document["spec"]
    runtime = re.fullmatch(r"python:(3\.\d+)", spec["runtime"])
    image = re.fullmatch(r"python:(3\.\d+)\.\d+-[-a-z0-9]+(@sha256:[0-9a-f]{64})?", spec["build"]["baseImage"])
    assert runtime[1] == image[1]
    assert runtime[1] in ("3.10", "3.11")  # what every dashboard that CVAT pins can run


@BOTH
def test_the_body_limit_lets_the_largest_allowed_request_through(path):
    assert read_function_file(path).body_limit >= contract.MAX_BODY


@BOTH
def test_times_are_durations_and_one_step_ends_before_cvat_gives_up(path):
    function = read_function_file(path)
    assert function.event_timeout <= 60  # nginx in front of CVAT waits so long
    assert function.worker_wait + function.event_timeout < 120  # CVAT itself
    assert function.readiness_timeout >= 120


@BOTH
def test_the_handler_can_be_imported(path):
    module, _, name = read_function_file(path).handler.partition(":")
    code = importlib.import_module(module)
    assert callable(getattr(code, name))
    assert callable(code.init_context)


@BOTH
def test_build_instructions_are_of_a_dockerfile_and_pin_what_the_project_is_tested_with(path):
    directives = read_function_file(path).document["spec"]["build"]["directives"]
    lines = [line for name in ("preCopy", "postCopy") for line in directives[name]]
    assert all(set(line) == {"kind", "value"} and line["kind"] in INSTRUCTIONS for line in lines)
    assert all("\n" not in line["value"] for line in lines)
    # The folder is copied between the two, so only the second can install it; what it needs is copied and kept before.
    assert not any("/opt/nuclio" in line["value"] for line in directives["preCopy"])
    source, target = next(line["value"] for line in lines if line["kind"] == "COPY").split()
    assert (ROOT / source.removeprefix("handler/")).is_file()
    installs = [line["value"] for line in lines if line["value"].startswith("pip install")]
    assert f"--require-hashes -r {target}" in installs[0]
    assert "--no-index --no-deps --no-build-isolation /opt/nuclio" in installs[1]
    assert len(installs) == 2


def pins(path):
    """Versions by name of a file that uv wrote."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["function-cpu.txt", "function-gpu.txt"])
def test_everything_in_the_image_has_hashes_and_the_version_the_project_is_tested_with(name):
    path = ROOT / "requirements" / name
    tested = {}
    for line in (ROOT / "requirements" / "dev.txt").read_text().splitlines():
        if line and not line.startswith("#") and not line.endswith('< "3.11"'):
            package, version = line.split(";")[0].strip().split("==")
            tested[re.sub(r"[-_.]+", "-", package).lower()] = version
    found = pins(path)
    assert {"torch", "numpy", "opencv-python-headless", "pydantic", "setuptools"} <= found.keys()
    assert {package: version.removesuffix("+cpu") for package, version in found.items() if package in tested} == {
        package: tested[package] for package in found if package in tested
    }
    blocks = re.split(r"\n(?=[a-z])", path.read_text())[1:]
    assert len(blocks) == len(found)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)


@pytest.mark.skipif(os.name != "posix", reason="runs a shell script")
@pytest.mark.parametrize("fault", ["", "function-gpu.txt", "dev.txt"])
def test_the_audit_asks_for_releases_and_fails_where_anything_does(tmp_path, fault):
    log = tmp_path / "log"
    auditor = tmp_path / "pip-audit"
    auditor.write_text(f'#!/bin/sh\necho "$@" >>{log}\neval file=\\${{$#}}\ngrep ^torch $file >>{log}\n'
                       f'test "$(basename $file)" != "{fault}"\n')  # fmt: skip
    auditor.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([ROOT / "requirements" / "audit.sh"], env=environment, check=False)
    assert done.returncode == bool(fault)
    told = log.read_text()
    assert told.count("--strict --disable-pip") == 3  # by itself it says that all is well where it could ask nobody
    assert "torch==" in told
    assert "+cpu" not in told


def test_what_the_project_asks_for_is_in_the_image():
    """Anew after a change of pyproject.toml: requirements/pin.sh."""
    tomllib = pytest.importorskip("tomllib", reason="reads TOML with Python 3.11's own library")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, extras in (
        ("function-cpu.txt", ["serverless", "onnx"]),
        ("function-gpu.txt", ["serverless"]),
    ):
        wanted = [
            *project["dependencies"],
            *(need for extra in extras for need in project["optional-dependencies"][extra]),
        ]
        found = pins(ROOT / "requirements" / name)
        for requirement in map(Requirement, wanted):
            assert requirement.specifier.contains(found[requirement.name.lower()]), requirement


@BOTH
def test_the_function_is_not_root_and_can_read_what_was_copied_whoever_owned_it(path):
    last = read_function_file(path).document["spec"]["build"]["directives"]["postCopy"]
    assert [line["kind"] for line in last] == ["RUN", "ENV", "USER"]  # nothing is installed after root was given up
    assert last[0]["value"].endswith(" && chmod -R a+rX /opt/nuclio")
    assert last[1]["value"] == "HOME=/tmp"
    user, group = (int(number) for number in last[2]["value"].split(":"))  # Kubernetes compares numbers, not names
    assert min(user, group) >= 1000


def test_the_gpu_file_asks_for_a_gpu_and_the_function_insists_on_it():
    gpu, cpu = read_function_file(GPU), read_function_file(CPU)
    assert gpu.document["spec"]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert gpu.environment["AGSS_DEVICE"] == "cuda"
    assert gpu.workers == 1
    assert "resources" not in cpu.document["spec"]
    assert cpu.environment["AGSS_DEVICE"] == "cpu"


def test_both_files_differ_in_nothing_but_the_device():
    def without_device(path):
        document = copy.deepcopy(dict(read_function_file(path).document))
        spec = document["spec"]
        spec.pop("resources", None)
        spec.pop("build")
        spec["env"] = [entry for entry in spec["env"] if entry["name"] != "AGSS_DEVICE"]
        return document

    assert without_device(GPU) == without_device(CPU)


@pytest.mark.parametrize(("text", "value"), [("30s", 30), ("1m30s", 90), ("2h", 7200), ("500ms", 0.5), ("1.5s", 1.5)])
def test_durations_are_read_as_go_writes_them(text, value):
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["30", "", "s", "30 s", "30sec", "-3s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="duration"):
        seconds(text)


@pytest.mark.parametrize("text", ["", "- 1", "metadata: {name: a}", "{", "metadata: {}\nspec: {handler: 1}"])
def test_files_that_cannot_be_used_are_refused(tmp_path, text):
    path = tmp_path / "function.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"function\.yaml"):
        read_function_file(path)


@pytest.fixture
def nuctl(tmp_path, monkeypatch):
    """A `nuctl` that writes down how it is called, and what lies in the folder it is given."""
    log = tmp_path / "calls"
    script = tmp_path / "bin" / "nuctl"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/bash\n"
        f'echo "$@" >> {log}\n'
        'while [ $# -gt 0 ]; do [ "$1" = --path ] && (cd "$2" && '
        f"find . -type f | sort > {tmp_path}/files && cp function.yaml {tmp_path}/deployed.yaml); shift; done; true\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    for name in ("CVAT_FUNCTIONS_REDIS_HOST", "CVAT_FUNCTIONS_REDIS_PORT", "CVAT_NETWORK", "AGSS_BASE_IMAGE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def deploy(*arguments):
    return subprocess.run(
        ["bash", ROOT / "serverless" / "deploy.sh", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("kind", "path"), [("gpu", GPU), ("cpu", CPU)])
def test_deploying_gives_nuctl_the_right_file_and_only_what_the_function_needs(nuctl, kind, path):
    done = deploy(kind)
    assert done.returncode == 0, done.stderr
    call = next(line for line in (nuctl / "calls").read_text().splitlines() if line.startswith("deploy"))
    assert "--project-name cvat" in call
    assert "--platform local" in call
    assert "--env CVAT_FUNCTIONS_REDIS_HOST=cvat_redis_ondisk --env CVAT_FUNCTIONS_REDIS_PORT=6666" in call
    assert '--platform-config {"attributes": {"network": "cvat_cvat"}}' in call
    assert (nuctl / "deployed.yaml").read_text() == path.read_text()
    files = (nuctl / "files").read_text().splitlines()
    for needed in ("serverless/main.py", "agss_model/weights/shipped/index.json", "requirements/dev.txt", "README.md"):
        assert f"./{needed}" in files
    assert not any("/tests/" in name or "/.venv/" in name or name.endswith(".pyc") for name in files)


def test_fine_tuned_weights_are_one_redeploy_away(nuctl):
    weights = nuctl / "mine.safetensors"
    weights.write_bytes(b"weights")
    done = deploy("gpu", str(weights))
    assert done.returncode == 0, done.stderr
    assert "./weights.safetensors" in (nuctl / "files").read_text().splitlines()
    function = read_function_file(nuctl / "deployed.yaml")
    assert function.environment["AGSS_WEIGHTS"] == "/opt/nuclio/weights.safetensors"


def test_the_base_image_can_be_pinned_to_a_digest(nuctl, monkeypatch):
    image = f"registry.example.org:5000/python:3.11.14-slim-bookworm@sha256:{'0f' * 32}"
    monkeypatch.setenv("AGSS_BASE_IMAGE", image)
    done = deploy("cpu")
    assert done.returncode == 0, done.stderr
    deployed, plain = read_function_file(nuctl / "deployed.yaml").document, read_function_file(CPU).document
    assert deployed["spec"]["build"].pop("baseImage") == image
    plain["spec"]["build"].pop("baseImage")
    assert deployed == plain


def test_the_digest_of_today_is_recorded_in_both_files(tmp_path, monkeypatch):
    names = ["requirements/base-image.sh", "function.yaml", "serverless/function-cpu.yaml"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "docker").write_text('#!/bin/sh\necho "$@" >>"$0.asked"\necho "$DIGEST"\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def renew(digest):
        monkeypatch.setenv("DIGEST", digest)
        done = subprocess.run(["sh", tmp_path / names[0]], capture_output=True, text=True, check=False)
        found = {read_function_file(tmp_path / name).document["spec"]["build"]["baseImage"] for name in names[1:]}
        return done.returncode, found

    image = re.sub("@.*", "", read_function_file(GPU).document["spec"]["build"]["baseImage"])
    for digest in (f"sha256:{'0f' * 32}", f"sha256:{'a0' * 32}"):
        assert renew(digest) == (0, {f"{image}@{digest}"})
    assert renew("sha256:0f") == (1, {f"{image}@sha256:{'a0' * 32}"})
    assert (tmp_path / "docker.asked").read_text().splitlines()[-1].endswith(image)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.parametrize("image", ["python@sha256:12", "a b", "x|y", "-e", f"python@sha256:{'0G' * 32}", "a\nb"])
def test_a_base_image_that_is_none_deploys_nothing(nuctl, monkeypatch, image):
    monkeypatch.setenv("AGSS_BASE_IMAGE", image)
    done = deploy("gpu")
    assert done.returncode == 2
    assert "AGSS_BASE_IMAGE" in done.stderr
    assert not (nuctl / "calls").exists()


@pytest.mark.parametrize("arguments", [(), ("tpu",), ("cpu", "no-such-file"), ("cpu", "a", "b")])
def test_deploying_with_wrong_arguments_says_what_is_wrong_and_deploys_nothing(nuctl, arguments):
    done = deploy(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert not (nuctl / "calls").exists()
