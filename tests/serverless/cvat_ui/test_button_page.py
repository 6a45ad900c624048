"""The button as a guest on CVAT's page: where it appears, what it remembers, and what it must not do there."""

from __future__ import annotations

import json

import pytest
from button_page import LABELS, mask_shape, rectangle
from button_server import FUNCTION, SCRIPT

BOX = rectangle(4, 6, 13, 15)
EVIL = "<img src=x onerror=\"document.title='owned'\">"


def test_button_and_menu_item_open_the_same_dialog(annotation):
    annotation.open([mask_shape(BOX)])
    header = annotation.page.locator(".cvat-annotation-header-left-group > :last-child")
    assert header.inner_text() == "Track all"
    assert header.get_attribute("title") == "Track all objects of this frame"
    annotation.click("Menu")
    annotation.click("Track all objects")
    annotation.page.locator("#agss-vos-target").wait_for()
    dialog = annotation.page.get_by_role("dialog", name="Track all objects")
    assert "1 mask on frame 5." in dialog.inner_text()
    assert annotation.fake("pluginNames") == ["AGSS-VOS"]
    assert annotation.console == []


def test_the_button_comes_back_when_a_job_is_opened_again(annotation):
    annotation.open([mask_shape(BOX)], closed=True)
    button = annotation.page.get_by_role("button", name="Track all", exact=True)
    assert button.count() == 0
    for _ in range(2):
        annotation.fake("reopen()")
        button.wait_for()
        annotation.fake("leave()")
        button.wait_for(state="detached")
    annotation.fake("destructor()")
    annotation.fake("reopen()")
    annotation.page.wait_for_timeout(300)
    assert button.count() == 0


@pytest.mark.parametrize("config", [{"late": True}, {"prebound": True}])
def test_other_orders_of_starting(annotation, config):
    """The interface may come after the script, and may dispatch by itself: still one button and one item."""
    annotation.open([mask_shape(BOX)], **config)
    annotation.page.get_by_role("button", name="Track all", exact=True).wait_for()
    annotation.click("Menu")
    assert annotation.page.get_by_role("button", name="Track all objects", exact=True).count() == 1


def test_loading_the_script_twice_adds_one_button(annotation):
    annotation.open([mask_shape(BOX)])
    annotation.page.add_script_tag(url="/agss-vos.js?again")
    annotation.page.wait_for_timeout(200)
    assert annotation.page.get_by_role("button", name="Track all", exact=True).count() == 1
    assert annotation.fake("actions.length") == 1


def test_without_a_menu_slot_or_a_header_the_rest_still_works(annotation):
    annotation.open([mask_shape(BOX, group=1)], noMenuSlot=True, noHeader=True)
    annotation.run_action({"Track to frame": "7"})
    assert sorted(annotation.masks(group=1)) == [5, 6, 7]
    assert any("menu item" in line for line in annotation.console)


def test_a_cvat_that_is_too_old_gets_a_sentence(annotation):
    annotation.open([mask_shape(BOX)], noCollectionAction=True)
    assert "needs a newer CVAT" in annotation.notice()
    assert annotation.page.get_by_role("button", name="Track all", exact=True).count() == 0


def test_a_page_without_the_interface_gets_a_sentence(annotation):
    annotation.page.clock.install()
    annotation.open([mask_shape(BOX)], noUi=True)
    annotation.page.clock.run_for(29_000)
    assert annotation.page.locator(".agss-vos-notice").count() == 0
    annotation.page.clock.run_for(3_000)
    assert "needs a newer CVAT" in annotation.notice()


def test_no_tracker_is_a_sentence_and_several_are_a_choice(annotation, server):
    other = {**FUNCTION, "id": "transt", "name": "TransT", "supported_shape_types": ["rectangle"]}
    detector = {**FUNCTION, "id": "agss-detector", "kind": "detector"}
    server.functions = [other, detector]
    annotation.open([mask_shape(BOX, group=1)])
    annotation.click("Track all")
    alert = annotation.page.get_by_role("alert")
    assert "No AGSS-VOS tracker is deployed" in alert.inner_text()
    annotation.click("Close")

    server.functions = [other, FUNCTION, {**FUNCTION, "id": "agss-vos-cars", "name": "Our cars"}]
    annotation.open_dialog()
    tracker = annotation.page.locator("#agss-vos-model")
    assert tracker.locator("option").all_inner_texts() == ["AGSS-VOS", "Our cars"]
    assert annotation.fake("parameters()")["Tracker"]["values"] == ["agss-vos", "agss-vos-cars"]
    tracker.select_option("agss-vos-cars")
    asked = []
    annotation.page.on("request", lambda request: asked.append(request.url))
    annotation.click("Track")
    annotation.finished()
    assert asked[-1].endswith("/api/lambda/functions/agss-vos-cars")


def test_the_last_settings_are_remembered(annotation):
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(8, output="track", tolerance="3.5")
    annotation.finished()
    annotation.page.reload()
    dialog = annotation.open_dialog()
    assert [annotation.value(field) for field in ("target", "output", "tolerance")] == ["8", "track", "3.5"]
    assert "where the tolerance needs them" in dialog.inner_text()
    annotation.click("Cancel")
    annotation.fake("goTo(10)")
    annotation.fake("objects.shapes.push(argument)", {**mask_shape(BOX, frame=10), "clientID": 99})
    annotation.open_dialog()
    assert annotation.value("target") == "13"  # three frames on, as before


@pytest.mark.parametrize("stored", ["{broken", "null", '{"output":"__proto__","tolerance":"x","reach":{},"model":[]}'])
def test_settings_that_cannot_be_read_are_forgotten(annotation, stored):
    annotation.page.add_init_script(f"localStorage.setItem('agss-vos.settings.1', {json.dumps(stored)})")
    annotation.open([mask_shape(BOX, group=1)])
    annotation.open_dialog()
    assert [annotation.value(field) for field in ("target", "output")] == ["19", "drawn"]


def test_no_storage_is_no_obstacle(annotation):
    denied = "Object.defineProperty(window, 'localStorage', { get() { throw new Error('denied'); } })"
    annotation.page.add_init_script(denied)
    annotation.open([mask_shape(BOX, group=1)])
    annotation.track(7)
    annotation.finished()
    assert sorted(annotation.masks(group=1)) == [5, 6, 7]


def test_names_are_text_wherever_they_are_shown(annotation, server):
    labels = [{**LABELS[0], "name": EVIL}, *LABELS[1:]]
    server.functions = [FUNCTION, {**FUNCTION, "id": "agss-2", "name": EVIL}]
    server.track = lambda *_: None
    annotation.open([mask_shape(BOX, group=1), mask_shape(BOX, label=2, group=2)], labels=labels)
    annotation.fake("select(argument)", annotation.shapes[0]["clientID"])
    dialog = annotation.open_dialog()
    assert EVIL in dialog.inner_text()
    annotation.page.locator("#agss-vos-target").fill("7")
    annotation.click("Track")
    assert EVIL in annotation.finished()
    assert annotation.page.title() != "owned"
    assert annotation.page.locator("img").count() == 0
    source = SCRIPT.read_text()
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in source


def test_a_strict_content_policy_is_kept(annotation, server):
    server.csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"
    annotation.open([mask_shape(BOX, group=1)])
    dialog = annotation.open_dialog()
    assert dialog.evaluate("dialog => getComputedStyle(dialog).borderRadius") == "8px"
    annotation.page.locator("#agss-vos-target").fill("7")
    annotation.click("Track")
    annotation.finished()
    assert [line for line in annotation.console if "Content Security" in line] == []


def test_keys_in_the_dialog_stay_there(annotation, server):
    """CVAT's shortcuts (next frame, delete, ...) listen on the document."""
    annotation.open([mask_shape(BOX, group=1)])
    annotation.page.keyboard.press("f")
    assert annotation.fake("shortcuts") == ["f"]
    annotation.open_dialog()
    assert annotation.page.evaluate("document.activeElement.id") == "agss-vos-target"
    annotation.page.keyboard.press("f")
    annotation.page.mouse.click(5, 500)  # outside
    annotation.page.keyboard.press("Delete")
    annotation.page.locator("#agss-vos-target").fill("7")
    annotation.page.keyboard.press("Enter")
    annotation.finished()
    assert sorted(annotation.masks(group=1)) == [5, 6, 7]
    assert annotation.fake("shortcuts") == ["f"]
    annotation.page.keyboard.press("d")
    assert annotation.fake("shortcuts") == ["f", "d"]


def test_escape_closes_the_dialog_and_gives_the_focus_back(annotation, server):
    annotation.open([mask_shape(BOX, group=1)])
    annotation.open_dialog()
    for _ in range(12):  # Tab never leaves the dialog.
        annotation.page.keyboard.press("Tab")
        where = annotation.page.evaluate("document.activeElement.closest('dialog, body').tagName")
        assert where == "DIALOG" or annotation.page.evaluate("document.activeElement === document.body")
    annotation.page.keyboard.press("Escape")
    annotation.page.get_by_role("dialog").wait_for(state="detached")
    assert annotation.page.evaluate("document.activeElement.className").endswith("agss-vos-header")
    assert server.calls == []
    assert annotation.undo_steps == 0


def test_every_field_has_a_label(annotation, server):
    server.functions = [FUNCTION, {**FUNCTION, "id": "agss-2", "name": "Two"}]
    annotation.open([mask_shape(BOX, group=1), mask_shape(BOX, label=2, group=2)])
    annotation.fake("select(argument)", annotation.shapes[0]["clientID"])
    dialog = annotation.open_dialog()
    dialog.get_by_label("Result").select_option("track")
    unnamed = dialog.evaluate(
        "dialog => [...dialog.querySelectorAll('input, select, button')]"
        ".filter((e) => !(e.labels?.length || e.textContent.trim() || e.ariaLabel)).length"
    )
    assert unnamed == 0
    for label in ("To frame", "Result", "Tolerance", "Tracker"):
        assert dialog.get_by_label(label, exact=True).is_visible()
