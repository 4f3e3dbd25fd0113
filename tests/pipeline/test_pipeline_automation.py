"""The rebuild rule, tick by tick: what is asked after each event, and above all what is not."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from stickgen_core.records.digests import digest_json
from stickgen_core.records.manifest import Manifest, write_manifest
from stickgen_pipeline.assets.factory import asset_of
from stickgen_pipeline.automation import raw_sensor
from stickgen_pipeline.backstop import backstop_sensor
from stickgen_pipeline.compute.worker import WorkerProcess
from stickgen_pipeline.resources import Bench
from stickgen_pipeline.steps import Costs, Step, Work

SOURCES = ("amass", "beat")


class FakeSettings:
    """Only what the factory asks of the settings."""

    profile = "test"

    @staticmethod
    def digest() -> str:
        return "config"


@dataclass
class World:
    """A graph of tiny text files with the real factory, the real memoisation and the real condition."""

    folder: Path
    sources: list[str] = field(default_factory=lambda: list(SOURCES))
    versions: dict[str, str] = field(default_factory=dict)
    while_running: dict[str, Callable[[], None]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor = None
        for name in self.sources:
            self.write_raw(name, "walk")

    def write_raw(self, name: str, text: str) -> None:
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        (self.folder / "files" / name).write_text(text)

    def _step(self, key: str, group: str, parents: tuple[str, ...], text: Callable[[], str], automatic: bool = True) -> Step:
        target = self.folder / "built" / key

        def make(work: Work) -> None:
            self.made.append(key)
            content = text()
            self.while_running.pop(key, lambda: None)()
            target.mkdir(parents=True, exist_ok=True)
            (target / "content").write_text(content)
            digest = hashlib.sha256(content.encode()).hexdigest()
            write_manifest(target, Manifest(key, "toy", digest, work.recipe, work.inputs))

        observe = (lambda: digest_json(text())) if group == "raw" else None
        version = digest_json([key, self.versions.get(key, "1"), parents])
        return Step(key, group, key, target, version, make, "merged", parents, observe=observe, automatic=automatic)

    def read(self, key: str) -> str:
        return (self.folder / "built" / key / "content").read_text()

    def steps(self) -> dict[str, Step]:
        def raw_text(name: str) -> Callable[[], str]:
            return (self.folder / "files" / name).read_text

        def together(*keys: str) -> Callable[[], str]:
            return lambda: "|".join(self.read(key) for key in keys)

        # Canonical clips ignore blanks, so a raw file can change without changing them.
        found = [self._step(f"raw/{name}", "raw", (), raw_text(name)) for name in self.sources]
        for name in self.sources:
            found.append(self._step(f"canonical/{name}", "canonical", (f"raw/{name}",), lambda name=name: self.read(f"raw/{name}").strip()))
        canonical = tuple(f"canonical/{name}" for name in self.sources)
        found.append(self._step("corpus/merged", "corpus", canonical, together(*canonical)))
        for stage in ("pretrain", "sft"):
            found.append(self._step(f"corpus/curated_{stage}", "corpus", ("corpus/merged",), together("corpus/merged")))
            found.append(
                self._step(f"corpus/embedded_{stage}", "corpus", (f"corpus/curated_{stage}",), together(f"corpus/curated_{stage}"))
            )
        found.append(
            self._step(
                "checkpoint/small_pretrain", "small", ("corpus/embedded_pretrain",), together("corpus/embedded_pretrain"), automatic=False
            )
        )
        return {step.key: step for step in found}

    def definitions(self) -> dg.Definitions:
        steps = self.steps()

        @dg.resource
        def bench(_):
            yield Bench(WorkerProcess(FakeSettings()), self.folder / "state", Costs(self.folder / "costs.json"))

        assets = [asset_of(step, steps, FakeSettings()) for step in steps.values()]
        return dg.Definitions(assets=assets, resources={"bench": bench}, executor=dg.in_process_executor)

    def run(self, *keys: str) -> None:
        job = self.definitions().resolve_implicit_global_asset_job_def()
        selection = [dg.AssetKey(key.split("/")) for key in keys] or None
        assert job.execute_in_process(instance=self.instance, asset_selection=selection).success

    def tick(self) -> set[str]:
        """One evaluation of the condition, and a run of what it asked for."""
        result = dg.evaluate_automation_conditions(self.definitions(), instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        asked = {found.key.to_user_string() for found in result.results if result.get_num_requested(found.key)}
        if asked:
            self.run(*asked)
        return asked

    def scan(self) -> None:
        """What the sensor does: take the inventories anew."""
        self.run(*[f"raw/{name}" for name in self.sources])


CORPUS = {"corpus/merged", "corpus/curated_pretrain", "corpus/curated_sft", "corpus/embedded_pretrain", "corpus/embedded_sft"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Everything built once and quiet."""
    world = World(tmp_path)
    world.scan()
    for _ in range(6):
        world.tick()
    assert world.tick() == set()
    world.made.clear()
    return world


def test_a_first_start_builds_all_data_and_trains_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.scan()
    asked = set().union(*(world.tick() for _ in range(6)))
    assert asked == CORPUS | {"canonical/amass", "canonical/beat"}
    assert world.read("corpus/embedded_sft") == "walk|walk"
    assert world.tick() == set()


def test_same_bytes_scanned_again_move_nothing(world: World) -> None:
    world.scan()
    assert world.tick() == set() and world.made == []


def test_a_change_that_leaves_the_clips_alone_stops_at_the_clips(world: World) -> None:
    world.write_raw("beat", "walk  ")
    world.scan()
    assert world.tick() == {"canonical/beat"}
    assert world.tick() == set() and world.tick() == set()


def test_a_real_change_travels_one_stage_a_tick_and_touches_only_its_closure(world: World) -> None:
    world.write_raw("beat", "run")
    world.scan()
    ticks = [world.tick() for _ in range(5)]
    assert ticks == [
        {"canonical/beat"},
        {"corpus/merged"},
        {"corpus/curated_pretrain", "corpus/curated_sft"},
        {"corpus/embedded_pretrain", "corpus/embedded_sft"},
        set(),
    ]
    assert world.read("corpus/embedded_sft") == "walk|run"
    assert "canonical/amass" not in world.made and "checkpoint/small_pretrain" not in world.made


def test_a_new_data_set_reaches_the_embedded_corpus(world: World) -> None:
    world.sources.append("dance")
    world.write_raw("dance", "spin")
    world.run("raw/dance")
    asked = [world.tick() for _ in range(6)]
    assert set().union(*asked) == CORPUS | {"canonical/dance"}
    assert world.read("corpus/embedded_pretrain") == "walk|walk|spin"
    assert "canonical/amass" not in world.made


def test_a_removed_data_set_leaves_the_corpus(world: World) -> None:
    world.sources.remove("beat")
    asked = set().union(*(world.tick() for _ in range(5)))
    assert asked == CORPUS
    assert world.read("corpus/embedded_pretrain") == "walk"


def test_a_new_code_version_with_the_same_result_rebuilds_one_artefact(world: World) -> None:
    world.versions["canonical/beat"] = "2"
    assert world.tick() == {"canonical/beat"}
    assert world.tick() == set()


def test_a_change_during_a_run_is_not_lost(world: World) -> None:
    """amass changes; while the merge of it runs, beat changes too and is converted. The merge must be asked for once more."""
    world.write_raw("amass", "jump")
    world.scan()

    def beat_changes() -> None:
        world.write_raw("beat", "crawl")
        world.run("raw/beat", "canonical/beat")

    world.while_running["corpus/merged"] = beat_changes
    for _ in range(8):
        world.tick()
    assert world.read("corpus/merged") == "jump|crawl"
    assert world.read("corpus/embedded_sft") == "jump|crawl"


def test_a_build_by_hand_makes_the_next_request_free(world: World) -> None:
    world.write_raw("beat", "run")
    world.run()
    world.made.clear()
    for _ in range(4):
        world.tick()
    assert world.made == []


def test_one_run_over_everything_stops_early_too(world: World) -> None:
    world.write_raw("beat", " walk ")
    world.run()
    assert world.made == ["raw/beat", "canonical/beat", "checkpoint/small_pretrain"]  # the last one was never built before


def test_the_raw_sensor_asks_again_each_time_a_disk_goes_and_comes(tmp_path: Path) -> None:
    """Unmounted, mounted, unmounted: the third state was seen before and must be asked for all the same; forgetting is a change too."""
    world = World(tmp_path)
    sensor = raw_sensor(world.steps(), 5)

    def tick(cursor: str | None) -> tuple[list[dg.RunRequest], str]:
        context = dg.build_sensor_context(instance=world.instance, cursor=cursor)
        found = [one for one in sensor(context) if isinstance(one, dg.RunRequest)]
        return found, context.cursor

    keys = []
    requests, cursor = tick(None)
    assert {key.to_user_string() for key in requests[0].asset_selection} == {"raw/amass", "raw/beat"}
    world.scan()
    requests, cursor = tick(cursor)
    assert requests == [], "the inventory that was asked for is there"
    for text in ("walk", "gone", "walk", "gone"):
        world.write_raw("beat", text)
        requests, cursor = tick(cursor)
        keys += [one.run_key for one in requests]
        world.scan()
        assert tick(cursor)[0] == []
    assert len(keys) == len(set(keys)) == 3
    (tmp_path / "built" / "raw" / "amass" / "manifest.json").unlink()
    requests, cursor = tick(cursor)
    assert [key.to_user_string() for one in requests for key in one.asset_selection] == ["raw/amass"]


def test_a_request_whose_run_was_killed_is_made_again_a_few_times_and_not_while_one_is_going(tmp_path: Path) -> None:
    world = World(tmp_path)
    sensor, cursor, asked = raw_sensor(world.steps(), 5), None, []
    job = world.definitions().resolve_implicit_global_asset_job_def()
    going = None
    for _ in range(8):
        context = dg.build_sensor_context(instance=world.instance, cursor=cursor)
        asked.append([one for one in sensor(context) if isinstance(one, dg.RunRequest)])
        cursor = context.cursor
        if going is None:  # the first request's run is going for one tick, then it is killed
            going = world.instance.create_run_for_job(job, tags=dict(asked[0][0].tags), status=dg.DagsterRunStatus.STARTED)
        else:
            world.instance.report_run_failed(going)
    assert [len(one) for one in asked] == [1, 0, 1, 1, 0, 0, 0, 0]
    world.scan()
    context = dg.build_sensor_context(instance=world.instance, cursor=cursor)
    assert [one for one in sensor(context) if isinstance(one, dg.RunRequest)] == []


def test_what_a_lost_run_left_is_asked_for_at_the_second_look_and_once(world: World) -> None:
    """The request of a run that never started is gone for the rule; the backstop sees data that is not current and no run."""
    state = world.folder / "state"

    def look(cursor: str | None) -> tuple[dg.RunRequest | None, str | None]:
        context = dg.build_sensor_context(instance=world.instance, cursor=cursor)
        found = backstop_sensor(world.steps(), state, 5)(context)
        return found if isinstance(found, dg.RunRequest) else None, context.cursor

    assert look(None) == (None, ""), "all is current"
    world.write_raw("beat", "run")
    world.scan()
    asked, cursor = look("")
    assert asked is None, "the rule has its turn first"
    going = world.instance.create_run_for_job(
        world.definitions().resolve_implicit_global_asset_job_def(), status=dg.DagsterRunStatus.STARTED
    )
    assert look(cursor) == (None, ""), "a run is going"
    world.instance.report_run_failed(going)
    _, cursor = look("")
    first, cursor = look(cursor)
    assert first is not None and {key.to_user_string() for key in first.asset_selection} == {"canonical/beat", *CORPUS}, "and no training"
    again, _ = look(cursor)
    assert again is not None and again.run_key == first.run_key, "one state, one run: the daemon drops a key that it knows"
    world.run(*CORPUS, "canonical/beat")
    assert look(cursor) == (None, "") and "run" in world.read("corpus/embedded_sft")
