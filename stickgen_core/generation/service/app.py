"""HTTP: FastAPI routes over the service. Documented by /openapi.json; a person starts at `/`."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

from stickgen_core.errors import MissingInput
from stickgen_core.generation.service.guard import Guard
from stickgen_core.generation.service.jobs import Job
from stickgen_core.generation.service.page import demo_page
from stickgen_core.generation.service.refusal import Refusal, internal, timed_out
from stickgen_core.generation.service.service import Service
from stickgen_core.generation.service.wire import GenerateBody, body_of

log = logging.getLogger("stickgen.service")

# How often a waiting answer looks whether its client is still there, and a stream whether there is progress.
LOOK_S = 0.1
MOTION_NAME = re.compile(r"^(\d{1,4})\.(motion|mp4)$")
PAGE_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:"


def create_app(service: Service, token: str | None = None, hosts: tuple[str, ...] = ()) -> Any:
    """The ASGI application. With a token everything under /v1 and /metrics asks for it; `hosts` are the names it answers to (none: any)."""
    try:
        from fastapi import FastAPI, Request
        from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
        from starlette.exceptions import HTTPException
    except ImportError:
        raise MissingInput("serving needs the packages fastapi and uvicorn; install stickgen's `service` extra") from None

    app = FastAPI(title="Stickgen", version="1", summary="Motion from words.", docs_url=None, redoc_url=None)
    ask = {"requestBody": {"required": True, "content": {"application/json": {"schema": GenerateBody.model_json_schema()}}}}

    async def ordered(request: Request) -> tuple[GenerateBody, Job]:
        body = body_of(await _read(request))
        return body, service.submit(body)

    async def settled(request: Request, job: Job) -> Any:
        """The job's answer; a client that went away takes its job with it, and nobody waits beyond the deadline."""
        while not await _looked(service, job):
            if await request.is_disconnected():
                service.jobs.cancel(job)
        return job.outcome.result()

    async def _read(request: Request) -> bytes:
        limit, parts, size = service.config.max_body_kb * 1000, [], 0
        try:
            async with asyncio.timeout(service.config.body_timeout_s):
                async for part in request.stream():
                    size += len(part)
                    if size > limit:
                        raise Refusal(413, "too_large", f"the body is larger than {service.config.max_body_kb} kB")
                    parts.append(part)
        except TimeoutError:
            raise Refusal(408, "slow_body", f"the body did not arrive within {service.config.body_timeout_s:g} s") from None
        return b"".join(parts)

    @app.exception_handler(Refusal)
    async def _refused(request: Request, refusal: Refusal) -> Response:
        return JSONResponse(refusal.body(request.scope["state"]["request_id"]), refusal.status, headers=refusal.headers())

    @app.exception_handler(Exception)
    async def _failed(request: Request, error: Exception) -> Response:
        log.error("request %s failed", request.scope["state"]["request_id"], exc_info=error)
        return await _refused(request, internal())

    @app.exception_handler(HTTPException)
    async def _no_such_route(request: Request, error: HTTPException) -> Response:
        what = {404: "no such path; see /openapi.json", 405: "this path does not take that method"}.get(error.status_code, "refused")
        refusal = Refusal(error.status_code, {404: "not_found", 405: "method"}.get(error.status_code, "refused"), what)
        return JSONResponse(refusal.body(request.scope["state"]["request_id"]), refusal.status, headers=error.headers)

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return HTMLResponse(demo_page(service, needs_token=token is not None), headers={"content-security-policy": PAGE_POLICY})

    @app.get("/health", summary="Whether it is ready, and with which model")
    async def health() -> Response:
        found = service.health()
        return JSONResponse(found, 200 if found["status"] == "ready" else 503)

    @app.get("/metrics", summary="Counters for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return PlainTextResponse(service.metrics.text(service.gauges()), media_type="text/plain; version=0.0.4")

    @app.get("/v1/model", summary="The model, its actions, and every bound of a request")
    async def model() -> Response:
        return JSONResponse({"model": service.model(), "limits": service.limits(), "actions": list(service.action_names)})

    @app.post("/v1/generate", summary="Generate and wait: JSON with .motion documents, one .motion file or one MP4", openapi_extra=ask)
    async def generate(request: Request) -> Response:
        body, job = await ordered(request)
        answer = await settled(request, job)
        if body.format == "mp4":
            return Response(answer.video, media_type="video/mp4", headers={"x-job-id": job.id})
        if body.format == "motion":
            return Response(answer.motions[0], media_type="application/json", headers={"x-job-id": job.id})
        return JSONResponse(service.result(job))

    @app.post("/v1/stream", summary="Generate and watch: server-sent events progress…, then result or error", openapi_extra=ask)
    async def stream(request: Request) -> Response:
        _, job = await ordered(request)
        events = _events(service, request, job)
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store", "x-job-id": job.id})

    @app.post("/v1/jobs", status_code=202, summary="Queue it and come back", openapi_extra=ask)
    async def queue(request: Request) -> Response:
        _, job = await ordered(request)
        return JSONResponse(service.status(job), 202, headers={"location": f"/v1/jobs/{job.id}"})

    @app.get("/v1/jobs/{job_id}", summary="How far a job is; its result once it is done")
    async def status(job_id: str) -> Response:
        job = service.jobs.find(job_id)
        return JSONResponse({**service.status(job), **(service.result(job) if job.outcome.done() else {})})

    @app.delete("/v1/jobs/{job_id}", summary="Give a job up, or forget its result", status_code=204)
    async def cancel(job_id: str) -> Response:
        service.jobs.cancel(service.jobs.find(job_id))
        return Response(status_code=204)

    @app.get("/v1/jobs/{job_id}/{name}", summary="A motion of a finished job, as N.motion or N.mp4")
    async def file(request: Request, job_id: str, name: str) -> Response:
        job, found = service.jobs.find(job_id), MOTION_NAME.match(name)
        if not found:
            raise Refusal(404, "unknown_motion", "expected a number and .motion or .mp4")
        if found[2] == "motion":
            return Response(service.motion(job, int(found[1])), media_type="application/json")
        answer = await settled(request, service.submit_video(job, int(found[1])))
        return Response(answer.video, media_type="video/mp4")

    return Guard(app, service, token, hosts)


async def _events(service: Service, request: Any, job: Job) -> AsyncIterator[str]:
    """Progress as it comes, a comment now and then so that proxies keep the line, and the result or the refusal at the end."""
    told, quiet = "", 0.0
    try:
        try:
            while not await _looked(service, job):
                now = _event("progress", service.status(job))
                if now != told:
                    yield now
                    told, quiet = now, 0.0
                elif quiet >= service.config.heartbeat_s:
                    yield ": still here\n\n"
                    quiet = 0.0
                quiet += LOOK_S
            yield _event("result", service.result(job))
        except Refusal as refusal:
            yield _event("error", refusal.body(request.scope["state"]["request_id"])["error"])
    finally:
        if not job.outcome.done():
            service.jobs.cancel(job)


async def _looked(service: Service, job: Job) -> bool:
    """Wait a moment; whether the job has ended. One that is past its deadline is given up here, wherever the worker is."""
    if not job.outcome.done():
        waiting = asyncio.wrap_future(job.outcome)
        # The job keeps its outcome; a look that nobody takes up again must not complain about it when the loop closes.
        waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([waiting], timeout=LOOK_S)
    if not job.outcome.done() and job.over():
        service.jobs.cancel(job)
        raise timed_out()
    return job.outcome.done()


def _event(name: str, value: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
