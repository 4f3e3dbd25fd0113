"""A RunPod serverless handler: the same checks, queue and answers as over HTTP, as a function of an event."""

import base64
import logging
from collections.abc import Callable, Mapping
from typing import Any

from stickgen_core.errors import MissingInput
from stickgen_core.generation.service.refusal import Refusal, internal
from stickgen_core.generation.service.service import Service
from stickgen_core.generation.service.wire import checked

log = logging.getLogger("stickgen.service")


def handler_for(service: Service) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """`event["input"]` is the JSON of POST /v1/generate; a video comes back as base64, a refusal as {"error": {…}}."""

    def handler(event: Mapping[str, Any]) -> dict[str, Any]:
        request_id = str(event.get("id", ""))[:64]
        try:
            body = checked(event.get("input"))
            job = service.submit(body)
            answer = job.outcome.result(service.config.timeout_s + service.config.heartbeat_s)
            if body.format == "mp4":
                return {"id": job.id, "mp4_base64": base64.b64encode(answer.video).decode(), **answer.summaries[0]}
            return service.result(job)
        except Refusal as refusal:
            return refusal.body(request_id)
        except Exception:
            log.exception("event %s failed", request_id)
            return internal().body(request_id)

    return handler


def start(service: Service) -> None:
    """Hand the handler to RunPod's loop; does not return."""
    try:
        import runpod
    except ImportError:
        raise MissingInput("serverless needs the package runpod; install it in the worker's image (`pip install runpod`)") from None
    runpod.serverless.start({"handler": handler_for(service)})
