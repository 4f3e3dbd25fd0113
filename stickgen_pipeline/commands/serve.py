"""`stickgen serve`: the generator behind HTTP, or as a serverless function."""

import argparse
import logging
import os
import sys
from typing import Any

from stickgen_pipeline.commands.common import note, settings_of
from stickgen_pipeline.commands.generate import action_names, load_generator

WARM_UP = "a person stands"


def serve(options: argparse.Namespace) -> int:
    """Load the checkpoint first: without one there is nothing to listen for."""
    settings = settings_of(options)
    generator = load_generator(settings, options.model, options.device)

    from stickgen_core.generation.service.listen import TOKEN_VARIABLE, server_for
    from stickgen_core.generation.service.service import Service

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(name)s %(message)s"
    )
    service = Service(generator, settings.config.rendering, tuple(action_names()))
    if options.runpod:
        from stickgen_core.generation.service.serverless import start

        start(service)
        return 0
    host, port = options.host or service.config.host, service.config.port if options.port is None else options.port
    server = server_for(service, host, port, os.environ.get(TOKEN_VARIABLE) or None)
    _warm(generator)
    note(f"{generator.run.name} on http://{'[' + host + ']' if ':' in host else host}:{port} (Ctrl-C ends it)")
    try:
        server.run()
    finally:
        service.close()
    return 0 if server.started else 1


def _warm(generator: Any) -> None:
    """The first text reads the encoder's weights and the first draw pays for allocations; no visitor should."""
    generator.generate(WARM_UP, seconds=generator.config.min_seconds, diffusion_steps=1)
