"""The real App in a real browser: what an annotator sees and clicks, on the shipped clip with the shipped weights."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from io import BytesIO
from pathlib import Path

import cv2
import fiftyone as fo
import fiftyone.server.main
import numpy as np
import pytest
from browser import open_page
from database import free_port
from fiftyone.operators.store import ExecutionStore
from PIL import Image
from plugin_source import PLUGIN

import agss_model
from agss_model.masks import read_label_map, to_masks
from agss_model.video import VideoWriter, open_source
from fiftyone_plugin.data.fields import Field, declare
from fiftyone_plugin.data.labels import decode_label, encode_mask
from fiftyone_plugin.data.order import remember_order
from fiftyone_plugin.operators.common import STORE
from fiftyone_plugin.operators.evaluate import LAST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CLIP = Path(agss_model.__file__).parent / "demo_clip"
FRAMES = 16
PATIENCE = 400_000  # milliseconds, for machines that are busy with something else
PICTURES = os.environ.get("AGSS_PICTURES")  # a folder that keeps what was seen


@pytest.fixture(scope="module")
def plugins(database):
    folder = Path(os.environ["FIFTYONE_PLUGINS_DIR"]) / "agss-vos"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(PLUGIN, folder)


@pytest.fixture(scope="module")
def walkers(plugins, tmp_path_factory):
    """The beginning of the shipped clip, seven people drawn on its first frame."""
    path = tmp_path_factory.mktemp("videos") / "walkers.mp4"
    with open_source(CLIP / "pedestrians.mp4") as source, VideoWriter(path, source.fps, source.size) as writer:
        for frame in source.frames(0, FRAMES):
            writer.write(frame)
    dataset = fo.Dataset("walkers", persistent=True)
    sample = fo.Sample(filepath=str(path))
    labels = []
    for index, mask in to_masks(read_label_map(CLIP / "pedestrians_first.png")).items():
        box, inside = encode_mask(mask)
        labels.append(fo.Detection(label="person", bounding_box=box, mask=inside, index=index))
    sample.frames[1] = fo.Frame(people=fo.Detections(detections=labels))
    dataset.add_sample(sample)
    dataset.compute_metadata()
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def street(walkers, tmp_path_factory):
    """The same frames as images, with masks that wander to the right; a saved view shows them as one sequence."""
    folder = tmp_path_factory.mktemp("images")
    people = to_masks(read_label_map(CLIP / "pedestrians_first.png"))
    dataset = fo.Dataset("street", persistent=True)
    with open_source(walkers.first().filepath) as source:
        for t, frame in enumerate(source.frames()):
            Image.fromarray(frame).save(folder / f"{t:03d}.jpg")
            found = []
            for index, mask in people.items():
                box, inside = encode_mask(np.roll(mask, 3 * t, axis=1))
                score = 0.2 if index == 3 and t > 7 else 0.9
                found.append(fo.Detection(label="person", bounding_box=box, mask=inside, index=index, confidence=score))
            labels = fo.Detections(detections=found)
            dataset.add_sample(fo.Sample(str(folder / f"{t:03d}.jpg"), camera="north", order=t, tracks=labels))
    field = Field("tracks", of_frames=False)
    declare(dataset, field)
    remember_order(dataset, field, ("order", "camera"))
    dataset.compute_metadata()
    dataset.save_view("sequences", dataset.group_by("camera", order_by="order"))
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def pair(walkers):
    """The video in two slices of a group; one has a doubtful person, the other a doubtful dog."""
    dataset = fo.Dataset("pair", persistent=True)
    dataset.add_group_field("group", default="left")
    group = fo.Group()
    for side, label, number in (("left", "person", 3), ("right", "dog", 9)):
        sample = fo.Sample(walkers.first().filepath, group=group.element(side))
        box = [0.1, 0.1, 0.2, 0.2]
        doubtful = fo.Detection(label=label, bounding_box=box, index=1, confidence=0.1)
        sample.frames[number] = fo.Frame(tracks=fo.Detections(detections=[doubtful]))
        dataset.add_sample(sample)
    dataset.compute_metadata()
    yield dataset
    dataset.delete()


@pytest.fixture(scope="module")
def app(walkers):
    """Address of an App of our own."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", fiftyone.server.main.__file__, "--port", str(port), "--address", "127.0.0.1"],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + PATIENCE / 1000
    while not _answers(address):
        assert server.poll() is None, "the App's server ended"
        assert time.monotonic() < end, "the App does not answer"
        time.sleep(0.2)
    yield f"{address}/datasets"
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _answers(address):
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200  # noqa: S310 - our own server
    except OSError:
        return False


@pytest.fixture(scope="module")
def window(browser, app):
    """The App with the dataset; each test goes on where the one before ended, as starting takes longest."""
    with open_page(browser) as page:
        yield _opened(page, f"{app}/walkers", "frames.people")


def _opened(page, address, field):
    page.set_default_timeout(PATIENCE)
    page.set_default_navigation_timeout(PATIENCE)
    # An offer of the Enterprise edition covers the page some time after it was opened, or lies behind a form by then.
    offer = page.get_by_role("button", name="Dismiss")
    page.add_locator_handler(offer, lambda button: button.dispatch_event("click"))
    page.goto(address)
    page.get_by_text(field).first.wait_for()
    return page


def look(page, name):
    """What is seen, as (H, W, 3) uint8."""
    data = page.screenshot(timeout=PATIENCE)
    if PICTURES:
        Path(PICTURES, f"{name}.png").write_bytes(data)
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def open_operator(page, label):
    page.keyboard.press("Backquote")
    page.get_by_placeholder("Search operations by name").fill(label)
    page.get_by_text(label, exact=True).last.click()


def open_panel(page):
    chosen = page.get_by_text("Tracking scores").first

    def offered():
        page.get_by_title("New panel").first.click()  # lost while the page is being loaded
        page.wait_for_timeout(500)
        return chosen.is_visible()

    wait_until(offered, page)
    chosen.click()


def click_frame(page, number):
    """Click on a frame of the timeline; frames 1 to 16 lie between 0.5 and 16.5."""
    area = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    x, y = area["x"] + area["width"] * (number - 0.5) / FRAMES, area["y"] + area["height"] / 2
    hovered = page.locator(".hoverlayer").get_by_text(f"frame {number}").first

    def hovers():
        page.mouse.move(x, y - 2)  # a move while the plot is drawn anew is lost
        page.mouse.move(x, y)
        return hovered.is_visible()

    wait_until(hovers, page)
    page.mouse.click(x, y)  # Plotly clicks on what it hovers over


def tracked(dataset, field):
    """Frames with masks in a field; none where it does not exist."""
    dataset.reload()
    if not dataset.has_frame_field(field):
        return []
    return [number for number, frame in dataset.first().frames.items() if frame[field] and frame[field].detections]


def wait_until(true, page):
    end = time.monotonic() + PATIENCE / 1000
    while not true():
        assert time.monotonic() < end
        page.wait_for_timeout(300)


def test_track_objects_is_found_filled_in_and_executed(window, walkers):
    open_operator(window, "Track objects")
    window.get_by_text("Track from").wait_for()
    window.locator("input[value=people_propagated]").first.wait_for()
    look(window, "form")
    window.get_by_role("button", name="Execute", exact=True).click()
    window.get_by_text(f"7 objects, {FRAMES} frames").first.wait_for()
    look(window, "summary")
    window.get_by_role("button", name="Done").click()
    window.get_by_text("frames.people_propagat").first.wait_for()  # the App has loaded the new field
    assert tracked(walkers, "people_propagated") == list(range(1, FRAMES + 1))


def test_track_objects_is_scheduled_and_worked_off(window, walkers):
    open_operator(window, "Track objects")
    window.get_by_text("Track from").wait_for()
    window.locator("input[value=people_propagated]").first.fill("later")
    window.keyboard.press("Tab")
    execute = window.get_by_role("button", name="Execute", exact=True)
    execute.locator("xpath=following-sibling::button").click()
    window.get_by_text("Schedule", exact=True).last.click()
    look(window, "schedule")
    window.get_by_role("button", name="Schedule", exact=True).click()
    wait_until(lambda: delegated("len(service.get_queued_operations())") == "1", window)
    assert tracked(walkers, "later") == []
    assert delegated("len(service.execute_queued_operations(limit=1))") == "1"
    assert delegated("service.list_operations()[0].run_state") == "completed"
    assert tracked(walkers, "later") == list(range(1, FRAMES + 1))


def delegated(expression):
    """Something of FiftyOne's service for delegated operations, in a process like `fiftyone delegated launch`."""
    code = (
        "from fiftyone.operators.delegated import DelegatedOperationService\n"
        f"service = DelegatedOperationService()\nprint({expression})"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=PATIENCE / 1000
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def check_masks(page, dataset, field, number):
    """The picture differs from the bare frame where the masks are, and hardly anywhere else."""
    with open_source(dataset.first().filepath) as source:
        bare = source.read(number - 1)
    height, width = bare.shape[:2]
    masks = np.zeros((height, width), bool)
    for label in dataset.first().frames[number][field].detections:
        masks |= decode_label(label, width, height)
    for _ in range(10):  # a busy machine draws late
        page.wait_for_timeout(2000)
        inside, outside = changes(page, bare, masks)
        if inside > 0.9 and outside < 0.08:
            break
    assert inside > 0.9
    assert outside < 0.08  # frames around the objects, their names, sharp edges of the video


def changes(page, bare, masks):
    """Shares of the pixels in masks, and of the others, that look different from the bare frame."""
    height, width = masks.shape
    area = page.locator("[data-cy=modal-looker-container]").first.bounding_box()
    seen = look(page, "masks")
    scale = min(area["width"] / width, area["height"] / height)
    left = round(area["x"] + (area["width"] - scale * width) / 2)
    top = round(area["y"] + (area["height"] - scale * height) / 2)
    size = round(scale * width), round(scale * height)
    bare = cv2.resize(bare, size, interpolation=cv2.INTER_LINEAR)
    seen = seen[top : top + size[1], left : left + size[0]]
    changed = np.abs(seen.astype(int) - bare[: len(seen), : seen.shape[1]]).sum(axis=2) > 90
    masks = cv2.resize(masks.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)[: len(seen), : seen.shape[1]] > 0
    return changed[masks].mean(), changed[~masks].mean()


def test_the_panel_leads_to_the_frame_and_the_masks_are_on_the_video(window, app, walkers):
    if not tracked(walkers, "people_propagated"):
        pytest.skip("needs the masks of the first test of this file")
    open_panel(window)
    window.get_by_text(f"7 objects, {FRAMES} frames").wait_for()
    window.locator(".js-plotly-plot .nsewdrag").first.wait_for(state="attached")
    window.wait_for_timeout(2000)
    look(window, "panel")
    click_frame(window, 11)  # which is at 1.0 seconds
    window.locator("[data-cy=modal-looker-container]").first.wait_for()
    look(window, "opened")
    window.get_by_text("0:01.00 / 0:01.60").first.wait_for()
    # An open video lists fields that are new since the page was loaded only when it is loaded again.
    window.goto(f"{app}/walkers?id={walkers.first().id}")
    window.get_by_text("/ 0:01.60").first.wait_for()
    window.evaluate("window.__foo__.executeOperator('@agss/vos/go_to_frame', {frame_number: 11})")
    window.get_by_text("0:01.00 / 0:01.60").first.wait_for()
    check_masks(window, walkers, "people_propagated", 11)


def test_the_numbers_of_an_evaluation_are_seen_in_the_panel(window, app, walkers):
    if not tracked(walkers, "people_propagated"):
        pytest.skip("needs the masks of the first test of this file")
    truth = {}
    for number, frame in walkers.first().frames.items():
        found = []
        for label in frame["people_propagated"].detections:
            box, inside = encode_mask(np.roll(decode_label(label, *size_of(walkers)), 1, axis=1))
            found.append(fo.Detection(label="person", bounding_box=box, mask=inside, index=label.index))
        truth[number] = fo.Detections(detections=found)
    walkers.set_values("frames.ground_truth", {walkers.first().id: truth}, key_field="id")
    window.goto(f"{app}/walkers")
    window.get_by_text("frames.ground_truth").first.wait_for()
    open_panel(window)
    window.get_by_role("button", name="Evaluate", exact=True).click()
    window.get_by_text("Evaluation key").wait_for()
    look(window, "evaluate")
    window.get_by_role("button", name="Execute", exact=True).click()
    window.get_by_text("over 7 objects in 1 clip").first.wait_for()
    window.get_by_role("button", name="Done").click()
    last = ExecutionStore.create(STORE, walkers._doc.id).get(LAST)
    assert last["pred_field"] in ("later", "people_propagated")  # tracked from the same masks
    assert last["gt_field"] == "ground_truth"
    assert 0.5 < last["J"] < 1
    assert last["identity"] == 1
    window.get_by_text("Last evaluation").wait_for()
    window.get_by_text("person 7").last.scroll_into_view_if_needed()
    look(window, "numbers")
    row = f"1 clip {last['JF']:.3f} {last['J']:.3f} {last['F']:.3f}"
    assert row in " ".join(window.get_by_role("row").filter(has_text="1 clip").first.inner_text().split())


def size_of(dataset):
    return dataset.first().metadata.frame_width, dataset.first().metadata.frame_height


def test_the_panel_shows_a_sequence_of_images_and_leads_to_the_image(window, app, street):
    window.goto(f"{app}/street")
    window.get_by_text("camera").first.wait_for()
    open_panel(window)
    window.get_by_text(f"7 objects, {FRAMES} frames, 8 with a score below 0.65").wait_for()
    window.locator(".js-plotly-plot .nsewdrag").first.wait_for(state="attached")
    window.wait_for_timeout(2000)
    look(window, "images")
    click_frame(window, 11)
    window.locator("[data-cy=modal-looker-container]").first.wait_for()
    expected = street.match({"order": 10}).first().id
    wait_until(lambda: expected in window.url, window)
    look(window, "image")


def test_in_dynamic_groups_the_panel_turns_to_the_image(window, app, street):
    window.goto(f"{app}/street?view=sequences")
    window.locator("[data-cy=looker]").first.wait_for()
    window.wait_for_timeout(2000)
    look(window, "sequences")
    open_panel(window)
    window.get_by_text(f"7 objects, {FRAMES} frames, 8 with a score below 0.65").wait_for()
    window.locator(".js-plotly-plot .nsewdrag").first.wait_for(state="attached")
    window.wait_for_timeout(2000)
    click_frame(window, 11)
    expected = street.match({"order": 10}).first().id
    wait_until(lambda: expected in window.url, window)  # the number of the page alone would not be the image
    look(window, "page")


def test_the_keys_are_about_the_slice_that_is_looked_at(window, app, pair):
    window.goto(f"{app}/pair?groupId={pair.first().group.id}")
    window.locator("[data-cy=group-carousel] [data-cy=looker]").nth(1).wait_for()
    for place, doubt in ((0, "frame 3: low score: person 1"), (1, "frame 9: low score: dog 1")):
        window.locator("[data-cy=group-carousel] [data-cy=looker]").nth(place).click()
        wait_until(lambda doubt=doubt: pressed(window, "]", doubt), window)
    look(window, "slice")


def pressed(page, key, text):
    """Whether a key makes a text appear; the video may still be on its way."""
    page.keyboard.press(key)
    page.wait_for_timeout(1500)
    return page.get_by_text(text).first.is_visible()
