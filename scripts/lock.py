"""Pin and hash the dependencies: one universal lock for each file of requirements/*.in, with no address in it."""

import os
import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).resolve().parent.parent / "requirements"
OPTIONS = ["--quiet", "--generate-hashes", "--universal", "--python-version", "3.11", "--no-header", "--no-annotate"]


def main() -> None:
    links = os.environ.get("PIP_FIND_LINKS", "")
    environment = {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
    # base first: the torch locks are constrained by it, so that both can be installed together.
    for source, lock in (
        ("uv.in", "uv.lock.txt"),
        ("base.in", "base.lock"),
        ("torch-cpu.in", "torch-cpu.lock"),
        ("torch-cuda.in", "torch-cuda.lock"),
    ):
        command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, source, "--output-file", lock]
        subprocess.run(command, cwd=LOCKS, env=environment, check=True)
        print(f"requirements/{lock}")


if __name__ == "__main__":
    main()
