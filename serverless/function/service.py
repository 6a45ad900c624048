"""One request from body to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from agss_model.engines import use_engine
from agss_model.errors import AgssError, MediaError
from agss_model.masks import mask_to_shape
from agss_model.system.allocator import give_back_memory, keep_freed_memory
from agss_model.weights.registry import load_model
from serverless.function.cache import FeatureCache, fingerprint
from serverless.function.contract import RequestError, ShapeMessage, TooLargeError, parse_request, reply
from serverless.function.pictures import decode_base64, decode_picture
from serverless.function.redis_store import connect_redis
from serverless.function.scenes import Frame, Scenes
from serverless.function.settings import FunctionSettings
from serverless.function.state import ObjectState, StateBudget, from_json

USUAL_BYTES = 1 << 30
"""That a worker holds between requests beside its cache; twenty objects in 1080p need half."""


def build_scenes(settings: FunctionSettings, log: Callable[[str], None]) -> Scenes:
    """Load the model and try it once, so that the first request is as fast as the others.

    Args:
        settings: of this deployment.
        log: told in a few words what runs where.

    Raises:
        ConfigError: the device is not there, or the engine is not or cannot run these weights there.
        WeightsError: the weights are not there, or cannot be used.
    """
    if settings.threads:
        torch.set_num_threads(settings.threads)
    network = load_model(settings.weights, settings.device)
    if settings.device == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark = False  # the fastest algorithm of the moment would change the last bits
    torch.backends.cudnn.deterministic = True
    engine = use_engine(network, settings.engine, settings.threads or None)
    name = fingerprint(network, engine)
    redis = (settings.redis_host, settings.redis_port)
    far = connect_redis(*redis, name, log, settings.redis_secret) if settings.redis_host else None
    scenes = Scenes(network, FeatureCache(settings.cache_mib << 20, far=far))
    place = torch.cuda.get_device_name(settings.device) if settings.device.startswith("cuda") else settings.device
    shared = f", features shared through Redis at {settings.redis_host}:{settings.redis_port}" if far else ""
    threads = torch.get_num_threads()
    log(f"weights {settings.weights} ({name[:12]}) on {place}, engine {engine}, {threads} CPU threads{shared}")
    _try_out(scenes)
    return scenes


def rest(scenes: Scenes) -> None:
    """Let go of what an unusually large request took."""
    give_back_memory(scenes.cache.max_bytes + USUAL_BYTES)


def _try_out(scenes: Scenes) -> None:
    frame = np.zeros((256, 256, 3), np.uint8)
    frame[64:192, 64:192] = 255
    mask = frame[:, :, 0] > 0
    states = scenes.start(frame, [ShapeMessage(type="mask", points=mask_to_shape("mask", mask))])
    scenes.follow(frame, states)


def answer(scenes: Scenes, body: object, note: Callable[[str], None] = lambda _: None) -> str:
    """The JSON to a request's body.

    Objects with a state are followed into the frame; objects with a shape alone are started on it. One that has
    neither, and one whose state cannot be used while others can be answered, gets null for both.

    Args:
        scenes: that answer.
        body: of the request.
        note: told of each state that cannot be used beside others that can.

    Raises:
        RequestError: by what is wrong with it; also MaskError and MediaError, for its shapes and pictures.
    """
    request = parse_request(body)
    objects = request.objects()
    states, refused = _states([value for _, value in objects])
    shapes = {index: shape for index, (shape, value) in enumerate(objects) if shape is not None and value is None}
    if refused and not states and not shapes:
        raise next(iter(refused.values()))
    frame = decode_picture(decode_base64(request.image, "The image"), "The image")
    started = _started(scenes, frame, shapes)
    followed = _followed(scenes, frame, states, refused, alone=not shapes)
    for problem in refused.values():
        note(str(problem))
    both = [{**started, **followed}.get(index, (None, None)) for index in range(len(objects))]
    return reply([shape for shape, _ in both], [state for _, state in both])


def _states(values: Sequence[dict[str, Any] | None]) -> tuple[dict[int, ObjectState], dict[int, AgssError]]:
    """The states that can be read, and what is wrong with the others, by place in the request."""
    budget, states, refused = StateBudget(), dict[int, ObjectState](), dict[int, AgssError]()
    for index, value in enumerate(values):
        if value is None:
            continue
        try:
            states[index] = from_json(value, budget)
        except TooLargeError:
            refused[index] = _in_place(index, _too_large_alone(value))
        except RequestError as problem:
            refused[index] = _in_place(index, problem)
    return states, refused


def _too_large_alone(value: dict[str, Any]) -> RequestError:
    """What is wrong with a state for which no room was left; where it would have fit alone, the whole request is."""
    try:
        from_json(value)
    except RequestError as problem:
        return problem
    raise TooLargeError("The states of the request are too many or too large together; track fewer objects at a time.")


def _in_place(index: int, problem: RequestError) -> RequestError:
    return type(problem)(f"State {index + 1} of the request: {problem}")


def _started(scenes: Scenes, frame: Frame, shapes: dict[int, ShapeMessage]) -> dict[int, tuple[Any, Any]]:
    if not shapes:
        return {}
    states = scenes.start(frame, list(shapes.values()))
    return {
        index: (shape.to_json(), state.to_json()) for (index, shape), state in zip(shapes.items(), states, strict=True)
    }


def _followed(
    scenes: Scenes, frame: Frame, states: dict[int, ObjectState], refused: dict[int, AgssError], *, alone: bool
) -> dict[int, tuple[Any, Any]]:
    """Shapes and states of the objects that go on; states that turn out not to fit the frame are added to `refused`."""
    try:
        found = scenes.follow(frame, list(states.values()))
    except (RequestError, MediaError):
        problems = {i: problem for i, state in states.items() if (problem := scenes.problem(frame, state))}
        if not problems or (alone and len(problems) == len(states)):
            raise
        refused.update(problems)
        states = {index: state for index, state in states.items() if index not in problems}
        found = scenes.follow(frame, list(states.values()))
    answers: dict[int, tuple[Any, Any]] = {}
    for index, one in zip(states, found, strict=True):
        kind, bare = one.state.kind, one.state.bare
        shape = ShapeMessage(type=kind, points=one.points, bare=bare).to_json() if one.points is not None else None
        answers[index] = (shape, one.state.to_json())
    return answers
