"""The service on a port: uvicorn with every wait bounded, loopback unless a token protects it."""

import contextlib
import ipaddress
import threading
import time
from collections.abc import Iterator
from typing import Any

from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.generation.service.app import create_app
from stickgen_core.generation.service.service import Service

TOKEN_VARIABLE = "STICKGEN_SERVICE_TOKEN"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
GRACE_S = 10


def server_for(service: Service, host: str, port: int, token: str | None) -> Any:
    """A uvicorn server that is not started yet; refuses to be reachable from outside without a token."""
    if token is None and not is_loopback(host):
        raise StickgenError(f"{host} can be reached from other machines: set {TOKEN_VARIABLE} in the environment, or serve on 127.0.0.1")
    try:
        import uvicorn
    except ImportError:
        raise MissingInput("serving needs the packages fastapi and uvicorn; install stickgen's `service` extra") from None
    hosts = (*LOOPBACK_NAMES, host) if is_loopback(host) else ()
    app = create_app(service, token, hosts)
    return uvicorn.Server(
        uvicorn.Config(
            app, host=host, port=port, access_log=False, log_level="warning", server_header=False, timeout_keep_alive=5,
            timeout_graceful_shutdown=GRACE_S, limit_concurrency=service.config.max_connections, lifespan="off",
        )
    )  # fmt: skip


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextlib.contextmanager
def listening(service: Service, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> Iterator[str]:
    """Serve from a thread of this process; gives the address, port 0 takes a free one."""
    server = server_for(service, host, port, token)
    thread = threading.Thread(target=server.run, name="stickgen-http", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise StickgenError(f"port {port} of {host} cannot be listened on; is another service there?")
            time.sleep(0.02)
        yield f"http://{host}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(GRACE_S)
        service.close()
