"""With the real daemon: drop a data set and touch nothing; unmount it; write a YAML; kill it. What follows is only what must."""

import random
import time
from pathlib import Path

import pytest

from tests.pipeline.daemon import PATIENCE, Daemon, a_motion

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SEED = 11
EMBEDDED = "curated/pretrain_data_embedded"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """One daemon for a day in its life: the tests below come in this order."""
    found = Daemon(tmp_path_factory.mktemp("daemon"))
    found.start()
    yield found
    found.stop()


def drop(daemon: Daemon, count: int = 4, name: str = "deepmimic") -> Path:
    folder = daemon.raw / name
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        (folder / f"humanoid3d_turn{n}.txt").write_text(a_motion(60 + 7 * n, 0.1 * n))
    return folder


def settled(daemon: Daemon, seconds: float = 20) -> None:
    """Several ticks of every sensor without a run."""
    quiet = time.monotonic()
    while time.monotonic() - quiet < seconds * PATIENCE:
        if not daemon.idle():
            quiet = time.monotonic()
        time.sleep(2)


def stamp(daemon: Daemon, folder: str) -> int:
    return (daemon.data / folder / "manifest.json").stat().st_mtime_ns


def test_a_fresh_machine_builds_its_data_and_trains_nothing(daemon):
    daemon.wait("a fresh machine builds its data by itself", lambda: daemon.sources() == {"synthetic"})
    assert not (daemon.data / "checkpoints").exists(), "training started by itself"


def test_a_dropped_data_set_reaches_the_embedded_corpus_and_touches_nothing_else(daemon):
    settled(daemon)
    others = ("motions_processed/synthetic", "inventories/amass", "motions_processed/amass")
    before = [stamp(daemon, name) for name in others]
    drop(daemon)
    daemon.wait("a dropped data set reaches the embedded corpus", lambda: daemon.sources() == {"synthetic", "deepmimic"})
    assert [stamp(daemon, name) for name in others] == before, "what the new data set does not feed was made again"


def test_a_vanished_data_set_is_told_of_and_keeps_what_was_made_of_it(daemon):
    settled(daemon)
    merged, canonical = daemon.digest("merged_all"), daemon.digest("motions_processed/deepmimic")
    folder = daemon.raw / "deepmimic"
    folder.rename(daemon.home / "unmounted")
    daemon.wait("a vanished data set is told of", lambda: "nothing_vanished (error)" in daemon.log.read_text(errors="replace"))
    settled(daemon)
    assert (daemon.digest("merged_all"), daemon.digest("motions_processed/deepmimic")) == (merged, canonical)
    assert daemon.sources() == {"synthetic", "deepmimic"}, "an unmounted disk emptied a corpus"
    (daemon.home / "unmounted").rename(folder)
    settled(daemon)
    assert daemon.digest("merged_all") == merged


def test_an_unchanged_download_and_one_lost_file_move_nothing(daemon):
    merged, folder = stamp(daemon, "merged_all"), daemon.raw / "deepmimic"
    for path in folder.iterdir():
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    settled(daemon)
    assert stamp(daemon, "merged_all") == merged, "an unchanged re-download moved the merge"
    (folder / "humanoid3d_turn0.txt").rename(daemon.home / "kept")
    settled(daemon)
    assert stamp(daemon, "merged_all") == merged, "one lost file changed a corpus"
    (daemon.home / "kept").rename(folder / "humanoid3d_turn0.txt")
    settled(daemon)


def test_a_new_yaml_joins_the_running_graph_and_the_command_line_finds_nothing_left(daemon):
    registry = daemon.home / "root" / "configs" / "datasets"
    text = (registry / "synthetic.yaml").read_text()
    (registry / "second.yaml").write_text(text.replace("seed: 1", "seed: 2").replace("clips: 3000", "clips: 30"))
    daemon.wait("a new YAML joins the graph without a restart", lambda: "second" in daemon.sources())
    settled(daemon)
    again = daemon.stickgen("build", "raw", "canonical", "corpus/merged", "corpus/embedded_pretrain", "--json")
    assert '"built": 0' in again.stdout, "the command line found something to do that the daemon had left\n" + again.stdout[-2000:]


def test_ten_kills_of_a_running_daemon_tear_nothing(tmp_path):
    draw = random.Random(SEED)
    shaken = Daemon(tmp_path / "shaken")
    waits = []
    for number in range(10):
        drop(shaken, 2 + number)
        shaken.start()
        waits.append(round(draw.uniform(5, 45), 1))
        time.sleep(waits[-1])
        shaken.kill()
    shaken.start()
    try:
        calm = Daemon(tmp_path / "calm")
        drop(calm, 11)
        data = (
            "raw",
            "canonical",
            "corpus/merged",
            "corpus/curated_pretrain",
            "corpus/curated_sft",
            "corpus/embedded_pretrain",
            "corpus/embedded_sft",
        )
        assert calm.stickgen("build", *data).returncode == 0
        wanted = {name: calm.digest(name) for name in ("motions_processed/deepmimic", "merged_all", "curated/sft_data", EMBEDDED)}
        shaken.wait(
            f"the same digests after kills at {waits} s (seed {SEED})", lambda: {n: shaken.digest(n) for n in wanted} == wanted, 600
        )
        settled(shaken)
        with shaken.instance() as instance:
            info = [instance.event_log_storage.get_concurrency_info(key) for key in instance.event_log_storage.get_concurrency_keys()]
            assert all(not found.claimed_slots and not found.pending_steps for found in info), f"seed {SEED}: a pool slot is lost: {info}"
        verified = shaken.stickgen("corpus", "verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        shaken.stop()
