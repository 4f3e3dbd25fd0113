"""A real daemon over a folder of its own: webserver, sensors and runs, exactly as `make ui` starts them, and ways to kill it."""

import contextlib
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from stickgen_core.records.manifest import find_manifest

ROOT = Path(__file__).parents[2]
# A busy machine needs a multiple of the time.
PATIENCE = float(os.environ.get("STICKGEN_TEST_PATIENCE", "1"))


def a_motion(frames: int = 60, lean: float = 0.0) -> str:
    """A DeepMimic file: somebody goes along, arms and legs swinging, so that curation keeps it."""
    rows = []
    for n in range(frames):
        time_s = 0.04 * n
        swing = 0.7 * math.sin(3.5 * time_s + lean)
        bend, still = -0.25 - 0.2 * abs(swing), about(0, 0)
        right = [*about(2, 0.5 * swing), bend, *still, *about(2, -swing), 0.4 + 0.3 * abs(swing)]
        left = [*about(2, -0.5 * swing), bend, *still, *about(2, swing), 0.4]
        place = [0.9 * time_s, 0.9 + 0.03 * math.sin(7 * time_s), 0.0]
        turn = lean + 0.3 * math.sin(time_s + lean)
        rows.append([0.04, *place, *about(1, turn), *about(1, 0.2 * swing), *still, *right, *left])
    return json.dumps({"Loop": "none", "Frames": rows})


def about(axis: int, angle: float) -> list[float]:
    """The quaternion (w, x, y, z) of a turn about one axis."""
    quaternion = [math.cos(angle / 2), 0.0, 0.0, 0.0]
    quaternion[1 + axis] = math.sin(angle / 2)
    return quaternion


class Daemon:
    """The project at home in `home`: configurations that a test may edit, data, and an instance."""

    def __init__(self, home: Path, clips: int = 60):
        self.home = home
        shutil.copytree(ROOT / "configs", home / "root" / "configs")
        shutil.copytree(ROOT / "requirements", home / "root" / "requirements")
        test = home / "root" / "configs" / "test.yaml"
        text = test.read_text()
        assert "clips: 160" in text
        test.write_text(text.replace("clips: 160", f"clips: {clips}"))
        (home / "dagster").mkdir()
        shutil.copy(ROOT / "dagster_home" / "dagster.yaml", home / "dagster")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.environ = {
            **os.environ, "STICKGEN_PROFILE": "test", "STICKGEN_ROOT": str(home / "root"), "STICKGEN_DATA": str(self.data),
            "DAGSTER_HOME": str(home / "dagster"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
            "STICKGEN_DAGSTER_URL": self.url,
        }  # fmt: skip
        self.log = home / "daemon.log"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def raw(self) -> Path:
        return self.data / "raw"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "dagster", "dev", "-w", str(ROOT / "workspace.yaml"), "-h", "127.0.0.1", "-p", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.home, env=self.environ, stdout=log, stderr=log, start_new_session=True)

    def processes(self) -> list[psutil.Process]:
        """Every process that works for this home, whoever its parent is now."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DAGSTER_HOME") == self.environ["DAGSTER_HOME"]:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found

    def kill(self) -> None:
        """SIGKILL to all of it, again until nothing is left."""
        while found := self.processes():
            for process in found:
                try:
                    process.send_signal(signal.SIGKILL)
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(found, timeout=10)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=30)
        self.kill()

    def wait(self, what: str, until: Callable[[], object], seconds: float = 420) -> None:
        end = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < end:
            if until():
                return
            assert self.process.poll() is None, f"the daemon ended: {self.tail()}"
            time.sleep(1)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.tail()}")

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])

    def stickgen(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "stickgen_pipeline.cli", *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, timeout=900, check=False)

    def digest(self, folder: str) -> str | None:
        manifest = find_manifest(self.data / folder)
        return manifest.digest if manifest else None

    def sources(self, folder: str = "curated/pretrain_data_embedded") -> set[str]:
        from stickgen_core.corpus import Corpus
        from stickgen_core.errors import StickgenError

        try:
            return set(Corpus.open(self.data / folder).index["source"].unique().to_pylist())
        except StickgenError:
            return set()

    def idle(self) -> bool:
        """No run is queued or going."""
        import dagster as dg

        with self.instance() as instance:
            going = [*dg.DagsterRunStatus]
            done = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
            return not instance.get_runs(filters=dg.RunsFilter(statuses=[s for s in going if s not in done]))

    def instance(self):
        import dagster as dg

        return dg.DagsterInstance.from_config(str(self.home / "dagster"))
