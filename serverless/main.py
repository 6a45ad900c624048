"""The Nuclio function: `init_context` once for each worker, `handler` for each request."""

from __future__ import annotations

import json
import time
import traceback
import uuid
from typing import Any

import torch

from agss_model.errors import AgssError, MaskError, MediaError
from serverless.function.contract import RequestError
from serverless.function.service import answer, build_scenes, rest
from serverless.function.settings import FunctionSettings


def init_context(context: Any) -> None:  # noqa: ANN401 - nuclio_sdk.Context, which has no types
    """Load the model; an error here stops the worker, as it should.

    Raises:
        AgssError: settings, weights or device cannot be used.
    """
    try:
        context.user_data.scenes = build_scenes(FunctionSettings.from_environment(), context.logger.info)
    except AgssError as error:
        context.logger.error(f"The function cannot start: {error}")
        raise


def handler(context: Any, event: Any) -> Any:  # noqa: ANN401 - Context, Event and Response of nuclio_sdk
    """Answer one request; whatever is wrong with it is a status and a line in the log, never an exception."""
    name, began = str(event.id or uuid.uuid4().hex), time.perf_counter()
    scenes = context.user_data.scenes
    try:
        body = answer(scenes, event.body, lambda problem: context.logger.warn_with(f"left out: {problem}", id=name))
    except (RequestError, MaskError, MediaError) as error:
        status = error.status if isinstance(error, RequestError) else 422
        return _refuse(context, name, status, str(error))
    except Exception as error:
        if not _out_of_memory(error):
            context.logger.error_with(f"failed: {_shortly(error)}", id=name, trace=_trace(error))
            return _failure(context, name, 500, f"The function failed; its log says why under the id {name}.")
        scenes.cache.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return _refuse(context, name, 503, "Out of memory; track fewer objects at a time, or smaller frames.")
    finally:
        rest(scenes)
    seconds = round(time.perf_counter() - began, 3)
    context.logger.info_with("answered", id=name, seconds=seconds, reply_bytes=len(body))
    return context.Response(body=body, content_type="application/json", status_code=200)


def _refuse(context: Any, name: str, status: int, reason: str) -> Any:  # noqa: ANN401
    context.logger.warn_with(f"refused: {reason}", id=name, status=status)
    return _failure(context, name, status, reason)


def _failure(context: Any, name: str, status: int, reason: str) -> Any:  # noqa: ANN401
    body = json.dumps({"error": reason, "id": name})
    return context.Response(body=body, content_type="application/json", status_code=status)


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def _shortly(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:500]


def _trace(error: Exception) -> str:
    """Where it happened; without the values, which may be pictures."""
    return " < ".join(f"{f.filename.rsplit('/', 1)[-1]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__))
