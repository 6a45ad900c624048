"""A run from start to end: progress, stopping, errors, leaving; and CVAT's own window of "Run actions"."""

from __future__ import annotations

import re

import pytest
from button_page import mask_shape, polygon_shape, rectangle

BOX = rectangle(4, 6, 13, 15)
OTHER = rectangle(2, 30, 9, 39)
SQUARE = [4, 6, 14, 6, 14, 16, 4, 16]


def started(annotation, server, target: int = 19):
    """A slow run through the dialog that has written at least two frames."""
    server.delay = 0.2
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(target)
    while len(server.calls) < 5:  # The start, three frames answered, the next one asked for.
        annotation.page.wait_for_timeout(50)
    return annotation.page.get_by_role("dialog")


def frames_written(annotation) -> list[int]:
    return sorted(annotation.masks(group=1))


def test_progress_is_shown_and_readable_by_machines(annotation, server):
    dialog = started(annotation, server)
    assert "Tracking 1 object" in dialog.inner_text()
    assert re.search(r"Frame \d+, \d+ of 14 done", dialog.inner_text())
    assert re.search(r"About (a few|\d+) seconds left", dialog.inner_text())
    bar = annotation.page.get_by_role("progressbar", name="Frames done")
    assert bar.get_attribute("max") == "14"
    assert float(bar.evaluate("bar => bar.value")) >= 2
    assert annotation.undo_steps == 0


def test_stop_pauses_and_goes_on(annotation, server):
    started(annotation, server)
    annotation.click("Stop")
    annotation.page.wait_for_timeout(500)
    calls = len(server.calls)
    annotation.page.wait_for_timeout(400)
    assert len(server.calls) == calls
    server.delay = 0
    annotation.click("Continue")
    annotation.finished()
    assert frames_written(annotation) == list(range(5, 20))


def test_stop_and_keep(annotation, server):
    started(annotation, server)
    annotation.page.keyboard.press("Escape")
    annotation.page.get_by_role("button", name=re.compile(r"Keep \d+ frames")).click()
    text = annotation.finished()
    written = frames_written(annotation)
    assert 7 in written
    assert written == list(range(5, written[-1] + 1))
    assert written[-1] < 19
    assert f"up to frame {written[-1]}" in text
    assert annotation.undo_steps == 1
    assert annotation.fake("drawn") == [5]


def test_stop_and_discard_leaves_no_trace(annotation, server):
    started(annotation, server)
    annotation.click("Stop")
    annotation.click("Discard")
    annotation.page.get_by_role("dialog").wait_for(state="detached")
    assert frames_written(annotation) == [5]
    assert annotation.undo_steps == 0
    assert annotation.page.locator(".agss-vos-notice").count() == 0


def test_the_end_does_not_wait_for_a_call_that_hangs(annotation, server):
    started(annotation, server)
    server.delay = 8
    annotation.page.wait_for_timeout(400)
    annotation.click("Stop")
    annotation.page.get_by_role("button", name=re.compile("Keep")).click(timeout=1500)
    annotation.page.locator(".agss-vos-notice").wait_for(timeout=3000)
    assert len(frames_written(annotation)) > 2


SENTENCES = [
    (400, "could not use this request"), (413, "more than the tracker accepts"), (422, "cannot use this frame"),
    (500, "log of the function"), (504, "took too long"), ("<html>500</html>", "something else than masks"),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "sentence"), SENTENCES)
def test_an_error_is_a_sentence_and_can_be_tried_again(annotation, server, failure, sentence):
    server.failures[8] = [failure]
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(10)
    alert = annotation.page.get_by_role("alert")
    alert.wait_for()
    assert sentence in alert.inner_text()
    assert "2 of 5 frames are done." in alert.inner_text()
    assert "url" not in alert.inner_text()
    annotation.click("Try again")
    annotation.finished()
    assert frames_written(annotation) == list(range(5, 11))


def test_frames_before_an_error_can_be_kept(annotation, server):
    server.failures[8] = [500]
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(10)
    annotation.click("Keep 2 frames")
    text = annotation.finished()
    assert "log of the function" in text
    assert "up to frame 7" in text
    assert frames_written(annotation) == [5, 6, 7]


def test_an_error_at_the_start_writes_nothing(annotation, server):
    server.failures[5] = [422]
    annotation.open([mask_shape(BOX)])
    annotation.track(10)
    annotation.page.get_by_role("alert").wait_for()
    assert annotation.page.get_by_role("button", name=re.compile("Keep")).count() == 0
    annotation.click("End")
    annotation.page.get_by_role("dialog").wait_for(state="detached")
    assert annotation.undo_steps == 0


def test_a_busy_tracker_is_asked_again(annotation, server):
    server.failures[7] = [503, 503]
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(8)
    annotation.finished()
    assert [call["frame"] for call in server.calls] == [5, 6, 7, 7, 7, 8]
    assert server.calls[2]["states"] == server.calls[4]["states"]
    assert frames_written(annotation) == [5, 6, 7, 8]


def test_states_of_another_function_version_are_explained(annotation, server):
    annotation.open([mask_shape(BOX, group=1)])
    sign = server.sign
    server.sign = lambda state: sign(state)[:-1] + "x"
    annotation.track(8)
    alert = annotation.page.get_by_role("alert")
    alert.wait_for()
    assert "8 hours" in alert.inner_text()


def test_a_lost_connection_is_explained(annotation, server):
    annotation.open([mask_shape(BOX, group=1)])
    annotation.page.route("**/api/lambda/functions/agss-vos", lambda route: route.abort())
    annotation.track(8)
    alert = annotation.page.get_by_role("alert")
    alert.wait_for()
    assert "CVAT did not answer" in alert.inner_text()
    annotation.page.unroute("**/api/lambda/functions/agss-vos")
    annotation.click("Try again")
    annotation.finished()


def test_a_wrong_number_of_answers_is_refused(annotation, server):
    answer = server.answer
    server.answer = lambda m: {k: v[:1] for k, v in answer(m).items()}
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, group=2)])
    annotation.track(8)
    alert = annotation.page.get_by_role("alert")
    alert.wait_for()
    assert "something else than masks" in alert.inner_text()


def test_leaving_the_job_stops_and_writes_nothing(annotation, server):
    started(annotation, server)
    annotation.fake("leave()")
    assert "job was closed" in annotation.notice()
    assert annotation.page.get_by_role("dialog").count() == 0
    assert annotation.undo_steps == 0
    annotation.fake("reopen()")
    server.delay = 0
    annotation.track(8)
    annotation.page.get_by_text("Tracked 1 object over 3 frames").wait_for()


def test_the_browser_warns_before_a_running_page_is_closed(annotation, server):
    started(annotation, server)
    dialogs = []
    annotation.page.on("dialog", lambda dialog: (dialogs.append(dialog.type), dialog.dismiss()))
    annotation.page.evaluate("setTimeout(() => location.reload(), 0)")
    annotation.page.wait_for_timeout(500)
    assert dialogs == ["beforeunload"]
    assert "Tracking 1 object" in annotation.page.get_by_role("dialog").inner_text()


def test_a_second_start_does_nothing(annotation, server):
    started(annotation, server)
    annotation.page.evaluate("document.querySelector('.agss-vos-header').click()")
    assert annotation.page.get_by_role("dialog").count() == 1
    annotation.run_action()
    assert "already running" in annotation.errors[0]


# -- CVAT's own window


def test_run_actions_lists_the_action_with_its_parameters(annotation):
    annotation.open([mask_shape(BOX)], frames=range(3, 18))
    assert annotation.fake("actions.map(({ name }) => name)") == ["Track all objects"]
    parameters = annotation.fake("parameters()")
    assert parameters["Track to frame"] == {"type": "number", "values": ["3", "17", "1"], "defaultValue": "17"}
    outputs = ["As drawn", "Masks", "Polygon tracks"]
    assert parameters["Result"] == {"type": "select", "values": outputs, "defaultValue": "As drawn"}
    assert parameters["Keep finished frames when cancelled"]["type"] == "checkbox"
    assert "Tracker" not in parameters
    for parameter in parameters.values():
        assert all(isinstance(value, str) for value in [*parameter["values"], parameter["defaultValue"]])


def test_run_actions_tracks(annotation):
    annotation.open([mask_shape(BOX, group=1), polygon_shape(SQUARE)])
    annotation.run_action({"Track to frame": "8", "Result": "As drawn"})
    assert annotation.errors == []
    assert frames_written(annotation) == [5, 6, 7, 8]
    assert len(annotation.tracks) == 1
    assert annotation.undo_steps == 1
    assert annotation.fake("modal.progress.length") >= 3
    assert annotation.notice().startswith("Tracked 2 objects over 3 frames")


def test_run_actions_on_a_selected_object(annotation, server):
    annotation.open([mask_shape(BOX, group=1), mask_shape(OTHER, group=2)])
    applicable = annotation.fake(
        "actions.flatMap((action) => argument.map((state) => action.isApplicableForObject(state)))",
        [
            {"objectType": "shape", "shapeType": "mask"}, {"objectType": "shape", "shapeType": "polygon"},
            {"objectType": "track", "shapeType": "polygon"}, {"objectType": "shape", "shapeType": "rectangle"},
            {"objectType": "tag"},
        ],
    )  # fmt: skip
    assert applicable == [True, True, True, False, False]
    annotation.run_action({"Track to frame": "7"}, selected=annotation.shapes[1]["clientID"])
    assert sorted(annotation.masks(group=2)) == [5, 6, 7]
    assert frames_written(annotation) == [5]
    assert all(len(call.get("states") or call["shapes"]) == 1 for call in server.calls)


@pytest.mark.parametrize("keep", ["true", "false"])
def test_cancel_in_run_actions(annotation, server, keep):
    """The commit runs even then; a partial result is redrawn by us, because the window does not."""
    server.delay = 0.15
    annotation.open([mask_shape(BOX, group=1)])
    annotation.page.evaluate(
        """async (keep) => {
            const { fake } = window;
            const done = fake.runAction('Track all objects', { 'Keep finished frames when cancelled': keep });
            while (fake.modal.progress.length < 4) await new Promise((resolve) => setTimeout(resolve, 20));
            fake.modal.cancel = true;
            await done;
        }""",
        keep,
    )
    assert annotation.errors == []
    written = frames_written(annotation)
    if keep == "true":
        assert 2 < len(written) < 14
        annotation.page.wait_for_timeout(600)
        assert annotation.fake("drawn") == [5]
    else:
        assert written == [5]
        assert annotation.fake("drawn") == []


def test_errors_in_run_actions(annotation, server):
    """With nothing done CVAT shows our sentence; with frames done they are kept and a message says why it stopped."""
    annotation.open([mask_shape(BOX, group=1)])
    server.failures[5] = [500]
    annotation.run_action({"Track to frame": "9"})
    assert "log of the function" in annotation.errors[0]
    assert annotation.undo_steps == 0
    server.failures[8] = [422]
    annotation.run_action({"Track to frame": "9"})
    assert frames_written(annotation) == [5, 6, 7]
    assert "cannot use this frame" in annotation.notice()
    server.failures[8] = [422]
    annotation.run_action({"Track to frame": "9", "Keep finished frames when cancelled": "false"})
    assert "cannot use this frame" in annotation.errors[1]
    assert annotation.undo_steps == 1


def test_run_actions_refuses_what_makes_no_sense(annotation, server):
    annotation.open([])
    annotation.run_action({"Track to frame": "9"})
    assert "no mask or polygon" in annotation.errors[0]
    annotation.fake("objects.shapes.push(argument)", {**mask_shape(BOX), "clientID": 99})
    annotation.run_action({"Track to frame": "5"})
    assert "no frame to track to" in annotation.errors[1]
    server.functions = []
    annotation.run_action({"Track to frame": "9"})
    assert "No AGSS-VOS tracker is deployed" in annotation.errors[2]
    assert annotation.undo_steps == 0
