"""A step's life: made once, reused, made again for a reason that can be named, never torn."""

from dataclasses import replace
from pathlib import Path

import pytest

from stickgen_core.errors import StickgenError
from stickgen_core.records.manifest import Manifest, read_manifest, write_manifest
from stickgen_core.records.publish import exclusively
from stickgen_pipeline import gates
from stickgen_pipeline.freshness import freshness, plan
from stickgen_pipeline.steps import Check, Costs, Step, Verdict, Work, chosen, in_order, perform


def quiet(label: str, done: int, total: int) -> None:
    pass


class Kitchen:
    """Two steps: `b/soup` is made from `a/water`."""

    def __init__(self, folder: Path):
        self.folder, self.content, self.version, self.made = folder, "water", "1", []

    def steps(self) -> dict[str, Step]:
        def water(work: Work) -> None:
            self.made.append(work.key)
            write_manifest(work.folder, Manifest(work.key, "toy", self.content, "the room's own recipe", {}))

        def soup(work: Work) -> None:
            self.made.append(work.key)
            write_manifest(work.folder, Manifest(work.key, "toy", f"soup of {work.inputs['a/water']}", "the room's own recipe", {}))

        check = Check("is_warm", "Is it warm?", lambda manifest, folder, fresh: Verdict(True, "warm", {"fresh": fresh}))
        first = Step("a/water", "a", "", self.folder / "water", "1", water, "merged", observe=lambda: self.content)
        second = Step("b/soup", "b", "", self.folder / "soup", self.version, soup, "merged", ("a/water",), checks=(check,))
        return {step.key: step for step in (second, first)}

    def cook(self):
        steps = self.steps()
        return [perform(step, steps, self.folder / "state", quiet) for step in in_order(steps)]


@pytest.fixture
def kitchen(tmp_path: Path) -> Kitchen:
    return Kitchen(tmp_path)


def test_asking_twice_makes_once_although_the_room_writes_a_recipe_of_its_own(kitchen):
    first, second = kitchen.cook(), kitchen.cook()
    assert [o.reused for o in first] == [False, False] and [o.reused for o in second] == [True, True]
    assert kitchen.made == ["a/water", "b/soup"]
    assert second[1].verdicts[0][1].measured == {"fresh": False}


def test_what_changed_is_made_again_with_everything_below_it(kitchen):
    kitchen.cook()
    kitchen.content = "broth"
    assert [o.reused for o in kitchen.cook()] == [False, False]
    assert read_manifest(kitchen.folder / "soup").digest == "soup of broth"


def test_a_deleted_manifest_costs_one_step_and_nothing_below_it(kitchen):
    kitchen.cook()
    (kitchen.folder / "water" / "manifest.json").unlink()
    assert [o.reused for o in kitchen.cook()] == [False, True]


def test_an_artefact_that_was_swapped_behind_our_back_is_made_again(kitchen):
    kitchen.cook()
    write_manifest(kitchen.folder / "water", Manifest("a/water", "toy", "oil", "?", {}))
    assert [o.reused for o in kitchen.cook()] == [False, True]
    assert read_manifest(kitchen.folder / "water").digest == "water"


def test_status_names_the_reason(kitchen):
    state = kitchen.folder / "state"
    assert {f.state for f in freshness(kitchen.steps(), state).values()} == {"missing"}
    kitchen.cook()
    assert {f.state for f in freshness(kitchen.steps(), state).values()} == {"current"}
    kitchen.content = "broth"
    found = freshness(kitchen.steps(), state)
    assert found["a/water"].because == ("files changed",) and found["b/soup"].because == ("input a/water is stale",)
    kitchen.version = "2"
    assert "code or configuration changed" in freshness(kitchen.steps(), state)["b/soup"].because


def test_a_plan_tells_what_is_sure_from_what_may_be_reused(kitchen):
    kitchen.cook()
    kitchen.content = "broth"
    steps = kitchen.steps()
    planned = plan(steps, in_order(steps), kitchen.folder / "state", {"b/soup": 2.0})
    assert [(p.step.key, p.action, p.seconds) for p in planned] == [("a/water", "build", None), ("b/soup", "maybe", 2.0)]


def test_a_second_maker_of_the_same_artefact_is_told_in_one_line(kitchen):
    with exclusively(kitchen.folder / "state" / "a.water" / "lock"), pytest.raises(StickgenError, match="already writing here") as caught:
        kitchen.cook()
    assert "\n" not in str(caught.value)


def test_a_step_that_publishes_nothing_is_an_error_that_names_it(tmp_path):
    step = Step("a/nothing", "a", "", tmp_path / "nothing", "1", lambda work: None, "merged")
    with pytest.raises(StickgenError, match="a/nothing: nothing was published"):
        perform(step, {step.key: step}, tmp_path / "state", quiet)


def test_selections_by_key_group_glob_and_neighbourhood(kitchen):
    steps = kitchen.steps()

    def keys(*wanted: str) -> list[str]:
        return [step.key for step in chosen(steps, wanted)]

    assert keys() == ["a/water", "b/soup"] == keys("+soup") == keys("a/water+") == keys("*/*")
    assert keys("group:b") == keys("b") == keys("key:b/soup") == ["b/soup"]
    with pytest.raises(StickgenError, match="names no step"):
        keys("bread")


def test_costs_survive_a_damaged_file(tmp_path):
    costs = Costs(tmp_path / "costs.json")
    costs.path.write_text("{broken")
    costs.add("a/water", 1.234)
    assert costs.read() == {"a/water": 1.23}


class Gate(Kitchen):
    """The soup has a gate that refuses salt; `taste` may be changed between two cookings."""

    def steps(self) -> dict[str, Step]:
        def fine(manifest: Manifest, folder: Path, fresh: bool) -> Verdict:
            # Like the graph's own gates: only a new artefact is looked at closely.
            return Verdict(not fresh or "salt" not in manifest.digest, "too salty")

        steps = super().steps()
        steps["b/soup"] = replace(steps["b/soup"], checks=(Check("not_salty", "Is it fine?", fine),))
        return steps


def test_a_failed_gate_leaves_the_last_good_artefact_in_place(tmp_path):
    gate = Gate(tmp_path)
    gate.cook()
    gate.content = "salt"
    for _ in range(2):  # asking again does not let it through
        outcome = gate.cook()[1]
        assert outcome.blocked_by and outcome.refused is not None and outcome.refused.digest == "soup of salt"
        assert outcome.manifest.digest == read_manifest(gate.folder / "soup").digest == "soup of water"
    why = freshness(gate.steps(), gate.folder / "state")["b/soup"]
    assert why.state == "stale" and any("refused by not_salty: too salty" in reason for reason in why.because)
    assert [path.parent.name for path in sorted(tmp_path.rglob("manifest.json"))] == ["soup", "water"]
    gate.content = "milk"
    assert gate.cook()[1].manifest.digest == "soup of milk"
    assert freshness(gate.steps(), gate.folder / "state")["b/soup"].state == "current"


def test_a_first_artefact_that_fails_its_gate_is_not_there(tmp_path):
    gate = Gate(tmp_path)
    gate.content = "salt"
    assert gate.cook()[1].blocked_by
    assert not (gate.folder / "soup").exists()
    assert freshness(gate.steps(), gate.folder / "state")["b/soup"].state == "missing"


@pytest.mark.parametrize("killed_at", ["_move_out", "_restore", "copytree", "rmtree"])
def test_a_kill_while_a_gate_refuses_never_lets_the_bad_artefact_through(tmp_path, monkeypatch, killed_at):
    gate = Gate(tmp_path)
    gate.cook()
    gate.content = "salt"
    gate.steps()["a/water"].make(Work("a/water", gate.folder / "water", "r", {}, quiet))

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(gates if killed_at.startswith("_") else gates.shutil, killed_at, die)
        with pytest.raises(KeyboardInterrupt):
            gate.cook()
    outcome = gate.cook()[1]
    assert outcome.blocked_by and read_manifest(gate.folder / "soup").digest == "soup of water"


def test_a_kill_between_making_and_judging_does_not_pass_the_gate(tmp_path):
    gate = Gate(tmp_path)
    gate.cook()
    gate.content = "salt"
    steps = gate.steps()
    bad = steps["b/soup"].checks[0]

    def die(*_):
        raise KeyboardInterrupt

    steps["b/soup"] = replace(steps["b/soup"], checks=(replace(bad, test=die),))
    with pytest.raises(KeyboardInterrupt):
        [perform(step, steps, gate.folder / "state", quiet) for step in in_order(steps)]
    assert read_manifest(gate.folder / "soup").digest == "soup of salt"
    assert any("before its gates" in why for why in freshness(gate.steps(), gate.folder / "state")["b/soup"].because)
    assert gate.cook()[1].blocked_by and read_manifest(gate.folder / "soup").digest == "soup of water"


def test_a_single_file_that_fails_its_gate_is_moved_away_with_its_manifest(tmp_path):
    target = tmp_path / "soup.pt"

    def make(work: Work) -> None:
        target.write_text("salt")
        write_manifest(target, Manifest(work.key, "toy", "salt", work.recipe, {}))

    bad = Check("not_salty", "Is it fine?", lambda manifest, path, fresh: Verdict(path.read_text() != "salt", "too salty"))
    step = Step("b/soup", "b", "", target, "1", make, "merged", checks=(bad,))
    for _ in range(2):
        assert perform(step, {step.key: step}, tmp_path / "state", quiet).blocked_by
        assert not target.exists() and freshness({step.key: step}, tmp_path / "state")["b/soup"].state == "missing"
    assert (tmp_path / "state" / "b.soup" / "refused" / "soup.pt").read_text() == "salt"
