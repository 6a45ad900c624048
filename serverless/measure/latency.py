"""How long a step of the function takes and how large states are: `python -m serverless.measure.latency --help`.

A step is all between the bytes of a request and the bytes of its answer: JSON, base64, the picture, the states, the
network, shapes and new states. What lies outside of the function (CVAT, Nuclio, the wire) is not in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass

from agss_model.evaluation.benchmark import Scene
from agss_model.masks import mask_to_shape
from agss_model.system.environment import commit, machine, versions
from serverless.function.service import answer, build_scenes
from serverless.function.settings import FunctionSettings
from serverless.local.smoke import encoded

WARMING = 2


@dataclass(frozen=True)
class Latency:
    """One row of the table.

    Attributes:
        objects: tracked together.
        seconds: of each step, after the first ones.
        processor: seconds of all threads together, of each step; other work on the machine adds little to them.
        image_bytes: of the picture's base64 in the last request.
        state_bytes: of each object's state after the last step, as JSON.
        working: (height, width) the network saw.
        found: objects that were not lost in the last step.
    """

    objects: int
    seconds: list[float]
    processor: list[float]
    image_bytes: int
    state_bytes: list[int]
    working: tuple[int, int]
    found: int


def measure(scene: Scene, steps: int, settings: FunctionSettings) -> Latency:
    """Track the objects of a made-up clip.

    Args:
        scene: what to track.
        steps: that count; two more come before them.
        settings: of the function.
    """
    scenes = build_scenes(settings, lambda _: None)
    frames = scene.frames()
    frame, masks = next(frames)
    shapes = [{"type": "mask", "points": mask_to_shape("mask", mask)} for mask in masks.values()]
    reply = json.loads(answer(scenes, {"image": encoded(frame), "shapes": shapes, "states": []}))
    seconds, processor = [], []
    for _ in range(WARMING + steps):
        image = encoded(next(frames)[0])
        message = {"image": image, "shapes": [None] * scene.objects, "states": reply["states"]}
        body = json.dumps(message).encode()
        began, worked = time.perf_counter(), time.process_time()
        text = answer(scenes, body)
        seconds.append(time.perf_counter() - began)
        processor.append(time.process_time() - worked)
        reply = json.loads(text)
    states = reply["states"]
    return Latency(
        objects=scene.objects,
        seconds=seconds[WARMING:],
        processor=processor[WARMING:],
        image_bytes=len(image),
        state_bytes=[len(json.dumps(state, separators=(",", ":"))) for state in states],
        working=tuple(states[0]["working"]),
        found=sum(not state["lost"] for state in states),
    )


def main() -> None:
    """Print one line for each number of objects."""
    parser = argparse.ArgumentParser(prog="python -m serverless.measure.latency", description=__doc__)
    parser.add_argument("--objects", default="1,5,10,20", help="counts, separated by commas")
    parser.add_argument("--size", default="1920x1080", help="WIDTHxHEIGHT of the frames")
    parser.add_argument("--object-size", default="typical", choices=("small", "typical", "large"))
    parser.add_argument("--steps", type=int, default=8, help="that are measured")
    given = parser.parse_args()
    if given.steps < 1:
        parser.error(f"--steps {given.steps} measures nothing; give 1 or more")
    width, height = (int(side) for side in given.size.split("x"))
    settings = FunctionSettings.from_environment()
    print("objects  median s  fastest s  processor s  found  working   image kB  state kB  all states kB")
    for count in (int(part) for part in given.objects.split(",")):
        row = measure(Scene(count, width, height, given.object_size), given.steps, settings)
        print(
            f"{row.objects:7}  {statistics.median(row.seconds):8.3f}  {min(row.seconds):9.3f}  "
            f"{statistics.median(row.processor):11.3f}  {row.found:5}  "
            f"{row.working[1]}x{row.working[0]}  {row.image_bytes / 1000:8.0f}  "
            f"{statistics.mean(row.state_bytes) / 1000:8.1f}  {sum(row.state_bytes) / 1000:13.0f}"
        )
    print(machine(settings.device), versions(), commit())


if __name__ == "__main__":
    main()
