"""Several heavy steps at once: never before their inputs, never after a gate, nothing lost to an interruption."""

import contextlib
import io
import threading
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from stickgen_core.errors import StickgenError
from stickgen_core.records.manifest import Manifest
from stickgen_pipeline.assets.factory import asset_of
from stickgen_pipeline.commands.build import Tally, progress_bar
from stickgen_pipeline.crew import Crew
from stickgen_pipeline.resources import Bench
from stickgen_pipeline.slots import Slots
from stickgen_pipeline.steps import Check, Costs, Outcome, Step, Verdict, Work
from tests.pipeline.test_pipeline_automation import FakeSettings

PATIENCE_S = 20.0


def heavy(key: str, *parents: str, pool: str | None = None) -> Step:
    return Step(key, "toy", "", Path(key), "1", lambda work: None, "merged", parents, pool=pool, apart=True)


def light(key: str, *parents: str) -> Step:
    return Step(key, "toy", "", Path(key), "1", lambda work: None, "merged", parents)


def done(step: Step, *, blocked: bool = False) -> Outcome:
    gate = Check("gate", "Is it good?", lambda manifest, folder, fresh: Verdict(not blocked, ""))
    return Outcome(Manifest(step.key, "toy", step.key, "1", {}), False, 0.0, 0.0, ((gate, Verdict(not blocked, "spoilt")),))


class Hand:
    """A worker whose steps last until they are let go, or until it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def run(self, step: Step, work: Work) -> float:
        return 0.0

    def stop(self) -> None:
        self.stopped.set()


class Kitchen:
    """What was begun and ended, in order; steps in `slow` wait to be let go."""

    def __init__(self, slow: tuple[str, ...] = (), spoilt: tuple[str, ...] = (), burnt: tuple[str, ...] = ()):
        self.begun: list[str] = []
        self.let_go = {key: threading.Event() for key in slow}
        self.spoilt, self.burnt = spoilt, burnt
        self.changed = threading.Condition()

    def make(self, step: Step, hand: Hand, watch: Callable[[dict[str, float]], None]) -> Outcome:
        with self.changed:
            self.begun.append(step.key)
            self.changed.notify_all()
        watch({"step": 1.0})
        while step.key in self.let_go and not self.let_go[step.key].wait(0.01):
            if hand.stopped.is_set():
                raise StickgenError(f"{step.key}: asked to stop")
        if step.key in self.burnt:
            raise StickgenError(f"{step.key}: burnt")
        return done(step, blocked=step.key in self.spoilt)

    def until(self, *keys: str) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: set(keys) <= set(self.begun), PATIENCE_S)


def unheard(figures: object) -> None:
    pass


def test_two_steps_that_need_nothing_of_each_other_are_under_way_together():
    kitchen, a, b = Kitchen(slow=("a", "b")), heavy("a"), heavy("b")
    with Crew([a, b], [Hand(), Hand()], kitchen.make) as crew:
        assert kitchen.until("a", "b")
        for event in kitchen.let_go.values():
            event.set()
        assert crew.take(b, unheard).manifest.digest == "b" and crew.take(a, unheard).manifest.digest == "a"


def test_a_step_begins_after_all_its_inputs_whoever_makes_them():
    kitchen = Kitchen(slow=("a",))
    a, c, other = heavy("a"), heavy("c", "a", "b"), heavy("other")
    with Crew([a, light("b"), c, other], [Hand(), Hand()], kitchen.make) as crew:
        assert kitchen.until("a", "other")
        crew.take(other, unheard)
        crew.told(light("b"), done(light("b")))
        assert "c" not in kitchen.begun
        kitchen.let_go["a"].set()
        crew.take(c, unheard)
    assert kitchen.begun.index("a") < kitchen.begun.index("c") and sorted(kitchen.begun) == ["a", "c", "other"]


@pytest.mark.parametrize("fault_in_first", [False, True])
def test_of_one_pool_a_single_step_is_under_way(fault_in_first):
    kitchen = Kitchen(slow=("a",), burnt=("a",) if fault_in_first else ())
    a, b, other = heavy("a", pool="gpu"), heavy("b", pool="gpu"), heavy("other")
    with Crew([a, b, other], [Hand(), Hand()], kitchen.make) as crew:
        assert kitchen.until("a", "other")
        crew.take(other, unheard)
        assert "b" not in kitchen.begun
        kitchen.let_go["a"].set()
        crew.take(b, unheard)


class Elsewhere:
    """Pools whose slots another run holds until it lets go."""

    def __init__(self) -> None:
        self.taken, self.held = threading.Event(), []
        self.taken.set()

    def claim(self, step: Step) -> bool:
        if not self.taken.is_set():
            self.held.append(step.key)
        return not self.taken.is_set()

    def free(self, step: Step) -> None:
        self.held.remove(step.key)


@pytest.mark.parametrize("fault", [(), ("a",)])
def test_a_step_waits_for_a_slot_that_another_run_holds_while_others_go_on(fault):
    kitchen, pools = Kitchen(slow=("a",), burnt=fault), Elsewhere()
    a, other = heavy("a", pool="gpu"), heavy("other")
    with Crew([a, other], [Hand(), Hand()], kitchen.make, pools) as crew:
        crew.take(other, unheard)
        assert kitchen.begun == ["other"] and not pools.held
        pools.taken.clear()
        assert kitchen.until("a") and pools.held == ["a"]
        kitchen.let_go["a"].set()
        with contextlib.suppress(StickgenError):
            crew.take(a, unheard)
        assert not pools.held


def test_slots_are_the_instances_own_and_are_held_while_the_step_is_made(tmp_path):
    """Known to every run of the instance: one of another run keeps ours waiting, ours keeps the other's, and none is lost."""
    step, told = heavy("a/train", pool="gpu"), []
    (tmp_path / "dagster.yaml").write_text("concurrency: {pools: {default_limit: 1, granularity: op}}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("gpu")
        assert storage.claim_concurrency_slot("gpu", "other", "checkpoint__x").is_claimed
        with Slots(instance, dg.DagsterRun("train", run_id="ours"), told.append) as slots:
            assert not slots.claim(step) and not slots.claim(step) and told == [step]
            storage.free_concurrency_slots_for_run("other")
            deadline = time.monotonic() + PATIENCE_S
            while not slots.claim(step):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert not storage.claim_concurrency_slot("gpu", "other", "checkpoint__y").is_claimed
            assert storage.get_concurrency_info("gpu").slot_count == 1 and storage.get_concurrency_info("gpu").active_slot_count == 1
            slots.free(step)
            assert storage.claim_concurrency_slot("gpu", "other", "checkpoint__y").is_claimed


def test_an_asset_of_a_crews_build_asks_for_no_slot_of_its_own(tmp_path):
    """It would wait for one although its work is done."""
    steps = {"a/train": heavy("a/train", pool="gpu")}
    assert asset_of(steps["a/train"], steps, FakeSettings()).op.pool == "gpu"
    assert asset_of(steps["a/train"], steps, FakeSettings(), pooled=False).op.pool is None


@pytest.mark.parametrize("fault", [{"spoilt": ("a",)}, {"burnt": ("a",)}])
def test_what_hangs_on_a_refused_or_failed_step_is_not_begun_and_the_rest_goes_on(fault):
    kitchen, a, below, other = Kitchen(**fault), heavy("a"), heavy("below", "a"), heavy("other")
    with Crew([a, below, other], [Hand(), Hand()], kitchen.make) as crew:
        if "burnt" in fault:
            with pytest.raises(StickgenError, match="a: burnt"):
                crew.take(a, unheard)
        else:
            assert crew.take(a, unheard).blocked_by
        crew.take(other, unheard)
    assert sorted(kitchen.begun) == ["a", "other"]


def test_a_light_step_that_a_gate_refused_holds_back_what_hangs_on_it():
    kitchen, a, other = Kitchen(), heavy("a", "gate"), heavy("other")
    with Crew([light("gate"), a, other], [Hand()], kitchen.make) as crew:
        crew.told(light("gate"), done(light("gate"), blocked=True))
        crew.take(other, unheard)
    assert kitchen.begun == ["other"]


def test_leaving_stops_who_is_at_work_and_begins_nothing_more():
    kitchen, hands = Kitchen(slow=("a",)), [Hand()]
    with Crew([heavy("a"), heavy("b")], hands, kitchen.make):
        assert kitchen.until("a")
    assert hands[0].stopped.is_set() and kitchen.begun == ["a"]


def test_an_interruption_while_waiting_leaves_no_thread_behind():
    kitchen, before = Kitchen(slow=("a",)), threading.active_count()

    def interrupt(figures: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Crew([heavy("a")], [Hand()], kitchen.make) as crew:
        crew.take(heavy("a"), interrupt)
    assert threading.active_count() == before


def test_an_interruption_ends_the_run_and_not_only_the_step(tmp_path):
    """With any retry policy on the asset Dagster takes the interruption for a failed try, and goes on with the next step."""
    begun = []

    def interrupted(work: Work) -> None:
        begun.append(work.key)
        raise KeyboardInterrupt

    steps = {key: replace(light(key), folder=tmp_path / key, make=interrupted) for key in ("a/one", "b/two")}
    bench = dg.ResourceDefinition.hardcoded_resource(Bench(None, tmp_path / "state", Costs(tmp_path / "costs.json")))
    made = dg.Definitions([asset_of(step, steps, FakeSettings()) for step in steps.values()], resources={"bench": bench})
    result = made.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    assert not result.success and len(begun) == 1


def test_a_step_that_fails_ahead_of_the_run_is_told_at_once_and_no_longer_counts_as_under_way(tmp_path):
    """The run may be interrupted before it comes to it; what became of it must not be lost with that."""

    def burnt(work: Work) -> None:
        raise StickgenError(f"{work.key}: burnt")

    step = replace(heavy("a/burnt"), folder=tmp_path / "a", make=burnt)
    tally, printed = Tally([step]), io.StringIO()
    with progress_bar(Console(file=printed), tally, [], [step], Namespace(json=False, verbose=False)) as watcher:
        bench = Bench(None, tmp_path / "state", Costs(tmp_path / "costs.json"), watcher)
        with pytest.raises(StickgenError):
            bench.make(step, {step.key: step}, None, lambda label, done, total: None, unheard)
    assert [(row["result"], row["says"]) for row in tally.rows()] == [("failed", "a/burnt: burnt")]
    assert printed.getvalue() == "  not built: a/burnt: burnt\n"


def test_figures_reach_the_run_in_its_own_thread_and_in_order():
    heard: list[tuple[float, threading.Thread]] = []

    def make(step: Step, hand: Hand, watch: Callable[[dict[str, float]], None]) -> Outcome:
        for number in range(3):
            watch({"step": float(number)})
        return done(step)

    with Crew([heavy("a")], [Hand()], make) as crew:
        crew.take(heavy("a"), lambda figures: heard.append((figures["step"], threading.current_thread())))
    assert heard == [(float(number), threading.main_thread()) for number in range(3)]


def test_the_order_among_ready_steps_is_that_of_the_list():
    kitchen, steps = Kitchen(), [heavy(name) for name in "dbca"]
    with Crew(steps, [Hand()], kitchen.make) as crew:
        for step in reversed(steps):
            crew.take(step, unheard)
    assert kitchen.begun == list("dbca")
