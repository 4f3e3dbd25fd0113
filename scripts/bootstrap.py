"""Make `.venv` from the pinned, hashed locks: a plain venv, pip installs a pinned uv, uv installs the rest.

Runs on the system's Python with nothing installed, so it speaks the syntax of old versions until it has checked its own.
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    found = "%d.%d" % sys.version_info[:2]  # noqa: UP031 - must parse on any Python 3
    sys.exit("error: Stickgen needs Python 3.11 or 3.12, found %s; run `make PYTHON=python3.11 ...`" % found)  # noqa: UP031
if sys.platform == "win32":
    sys.exit("error: on Windows run Stickgen inside WSL (Linux); native Windows is not supported")

import hashlib
import os
import shutil
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
CUDA_DOWNLOAD = "about 3.4 GB with the CUDA libraries"
PLAIN_DOWNLOAD = "about 0.8 GB"
CPU_DOWNLOAD = "about 0.6 GB, torch itself from the local folder"


def find_links(python: Path) -> str:
    """The folder of local wheels that pip is configured with, if any; uv does not read pip's configuration."""
    if "PIP_FIND_LINKS" in os.environ:
        return os.environ["PIP_FIND_LINKS"]
    listed = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        if key.endswith("find-links"):
            return value.strip("'\"")
    return ""


def has_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None and subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0


def torch_lock(links: str) -> "tuple[str, str]":
    """(lock, what it means): the CPU build where its wheel is at hand and no GPU is, else the index's build."""
    override = os.environ.get("STICKGEN_TORCH", "")
    if override not in ("", "cpu", "cuda"):
        sys.exit(f"error: STICKGEN_TORCH={override!r}: expected cpu or cuda")
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    local_cpu = any(
        list(Path(folder).glob(f"torch-*+cpu-{tag}-*.whl")) for folder in links.replace(",", " ").split() if Path(folder).is_dir()
    )
    if override == "cpu" and not local_cpu:
        sys.exit("error: STICKGEN_TORCH=cpu needs a folder with torch's +cpu wheel in PIP_FIND_LINKS; none found there")
    if override != "cuda" and local_cpu and not has_gpu():
        return "torch-cpu.lock", f"torch: CPU build from the local wheel folder ({CPU_DOWNLOAD})"
    size = CUDA_DOWNLOAD if sys.platform == "linux" else PLAIN_DOWNLOAD
    return "torch-cuda.lock", f"torch: the package index's build ({size})"


def digest_of(lock: str) -> str:
    """What an environment with this torch lock was made from."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in (LOCKS / "base.lock", LOCKS / lock, ROOT / "pyproject.toml"))).hexdigest()


def main() -> None:
    target = Path(os.environ.get("STICKGEN_VENV", ROOT / ".venv"))
    python = target / "bin" / "python"
    if not python.exists():
        venv.EnvBuilder(with_pip=True, clear=target.exists()).create(target)
    stamp = target / ".stickgen-installed"
    installed = stamp.read_text() if stamp.exists() else ""
    # Either build will do once it is there: a folder of wheels that is not mounted today is no reason to download.
    if not os.environ.get("STICKGEN_TORCH") and installed in {digest_of("torch-cpu.lock"), digest_of("torch-cuda.lock")}:
        return
    links = find_links(python)
    lock, meaning = torch_lock(links)
    locks = [LOCKS / "base.lock", LOCKS / lock]
    wanted = digest_of(lock)
    if installed == wanted:
        return
    print(f"Setting up {os.path.relpath(target)} with Python {sys.version.split()[0]}\n  {meaning}", flush=True)
    quiet = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    environment = {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
    try:
        subprocess.run([*quiet, "--require-hashes", "--requirement", LOCKS / "uv.lock.txt"], check=True)
        # On a terminal uv draws its progress; in a log its list of packages would only hide what matters.
        uv = [python, "-m", "uv", "pip", "install", "--python", python, *([] if sys.stderr.isatty() else ["--quiet"])]
        files = [part for path in locks for part in ("--requirement", path)]
        subprocess.run([*uv, "--require-hashes", *files], check=True, env=environment)
        # The project itself by a path file and a launcher: nothing to build, so it works without a network.
        site = next((target / "lib").glob("python3*")) / "site-packages"
        (site / "stickgen.pth").write_text(f"{ROOT}\n")
        launcher = target / "bin" / "stickgen"
        # Guarded: worker processes import the main script again.
        launcher.write_text(
            f"#!{python}\nimport sys\n\nfrom stickgen_pipeline.cli import main\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
        )
        launcher.chmod(0o755)
    except subprocess.CalledProcessError as error:
        command = Path(str(error.cmd[0])).name
        sys.exit(f"error: installing failed in `{command} {' '.join(str(part) for part in error.cmd[1:5])} ...`; "
                 "the first install needs a network (or a wheel folder in PIP_FIND_LINKS); run the same command again")  # fmt: skip
    stamp.write_text(wanted)
    print("Set up. Everything from here on works offline.", flush=True)


if __name__ == "__main__":
    main()
