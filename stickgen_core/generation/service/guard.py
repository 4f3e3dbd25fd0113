"""Round every request: an id, the token, the host's name, the content type, a count and a line in the log; and no inside in any error."""

import hmac
import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from stickgen_core.generation.service.refusal import Refusal, internal
from stickgen_core.generation.service.service import Service

log = logging.getLogger("stickgen.service")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
OPEN_PATHS = ("/", "/health", "/openapi.json")


class Guard:
    """An ASGI application round another one."""

    def __init__(self, app: Any, service: Service, token: str | None, hosts: tuple[str, ...]):
        self.app, self.service, self.token, self.hosts = app, service, token, {host.lower() for host in hosts}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.match(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.monotonic(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                extra = [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        try:
            self._check(scope, headers)
            await self.app(scope, receive, sent)
        except Refusal as refusal:
            if not status:
                await _refuse(refusal, request_id, sent)
        except Exception:
            log.exception("request %s failed", request_id)
            if not status:
                await _refuse(internal(), request_id, sent)
        route = getattr(scope.get("route"), "path", "other")
        self.service.metrics.count("requests", route=route, status=str(status))
        log.info("%s %s %s %d %.3f s", request_id, scope["method"], route, status, time.monotonic() - started)

    def _check(self, scope: MutableMapping[str, Any], headers: dict[str, str]) -> None:
        # A page of another site must not reach a service on loopback: not by a name of its own for 127.0.0.1, not by a form.
        if self.hosts and _host(headers.get("host", "")) not in self.hosts:
            raise Refusal(421, "host", "this service does not answer to that host name")
        if self.token is not None and scope["path"] not in OPEN_PATHS:
            offered = headers.get("authorization", "")
            if not hmac.compare_digest(offered.encode(), f"Bearer {self.token}".encode()):
                raise Refusal(401, "token", "expected the header Authorization: Bearer TOKEN")
        if scope["method"] == "POST" and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "content_type", "expected content-type: application/json")


def _host(header: str) -> str:
    """The name without its port: "[::1]:80" and "localhost:80" alike."""
    name = header.rpartition(":")[0] if re.search(r":\d+$", header) else header
    return name.strip("[]").lower()


async def _refuse(refusal: Refusal, request_id: str, send: Send) -> None:
    body = json.dumps(refusal.body(request_id)).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers()}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
