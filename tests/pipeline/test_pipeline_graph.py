"""The graph as a whole: it loads, reads like the figure of the paper, and says of everything what it is and whether to keep it."""

import dagster as dg
import pytest

from stickgen_pipeline.definitions import build_definitions
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.profile import resolve
from stickgen_pipeline.steps import in_order

DOCUMENTED = ("amass", "humanml3d", "kit_ml", "babel", "beat", "beat2", "ntu_rgbd", "aistpp", "interhuman", "lsmb19", "100style")
MODELS = {f"{variant}_{stage}" for variant in ("small", "medium", "large") for stage in ("pretrain", "sft", "lora")}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return resolve("test")


@pytest.fixture(scope="module")
def graph(settings):
    definitions = build_definitions(settings)
    dg.Definitions.validate_loadable(definitions)
    return definitions.resolve_asset_graph()


def keys(graph, group):
    return {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).group_name == group}


def test_the_groups_are_the_boxes_of_the_figure(graph):
    found = {graph.get(key).group_name for key in graph.get_all_asset_keys()}
    assert found == {"raw", "canonical", "corpus", "small", "medium", "large", "release", "upkeep"}


def test_every_documented_data_set_is_a_pair_of_nodes(graph):
    assert {f"raw/{name}" for name in DOCUMENTED} <= keys(graph, "raw")
    assert {f"canonical/{name}" for name in DOCUMENTED} <= keys(graph, "canonical")


def test_nine_checkpoints_each_with_its_report_in_the_group_of_its_variant(graph):
    for variant in ("small", "medium", "large"):
        names = {name for name in MODELS if name.startswith(variant)}
        assert keys(graph, variant) >= {f"checkpoint/{name}" for name in names} | {f"evaluation/{name}_report" for name in names}
    sft = graph.get(dg.AssetKey(["checkpoint", "small_sft"]))
    assert dg.AssetKey(["checkpoint", "small_pretrain"]) in sft.parent_keys and dg.AssetKey(["corpus", "embedded_sft"]) in sft.parent_keys


def test_groups_never_point_backwards(graph):
    order = {name: n for n, name in enumerate(("raw", "canonical", "corpus", "small", "release"))} | {"medium": 3, "large": 3, "upkeep": 5}
    for key in graph.get_all_asset_keys():
        for parent in graph.get(key).parent_keys:
            here, above = graph.get(key).group_name, graph.get(parent).group_name
            assert order[above] < order[here] or above == here, f"{parent} -> {key}"


def test_the_last_part_of_a_key_stands_alone(graph):
    leaves = [key.path[-1] for key in graph.get_all_asset_keys() if graph.get(key).group_name not in ("raw", "canonical")]
    assert len(leaves) == len({*leaves}) and not {"pretrain", "sft", "lora"} & {*leaves}


def test_every_asset_has_a_description_a_retention_and_a_version(graph):
    for key in [key for key in graph.get_all_asset_keys() if graph.get(key).group_name != "upkeep"]:
        node = graph.get(key)
        assert node.description and len(node.description) > 20, key
        assert node.tags["stickgen/retention"] in ("critical", "recommended", "optional", "discardable"), key
        assert node.code_version, key
        assert {"path", "regenerable_from"} <= node.metadata.keys(), key


def test_nothing_trains_by_itself(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if node.group_name in ("small", "medium", "large", "release"):
            assert node.automation_condition is None, key
    schedules = {s.name: s.default_status for s in build_definitions(resolve("test")).schedules or ()}
    assert schedules["weekly_training"] == dg.DefaultScheduleStatus.STOPPED
    assert schedules["nightly_rebuild"] == dg.DefaultScheduleStatus.RUNNING


def test_a_checkpoint_needs_the_gpu_pool(settings):
    pools = {step.pool for step in steps_of(settings).values() if step.key.startswith("checkpoint/")}
    assert pools == {"gpu"}


def test_what_a_section_says_reaches_only_the_stages_that_read_it():
    plain, changed = steps_of(resolve("test")), steps_of(resolve("test", overrides=["curation.sft.min_quality=0.81"]))
    moved = {key for key in plain if plain[key].recipe() != changed[key].recipe()}
    assert {"corpus/merged", "corpus/curated_sft"} <= moved
    assert not any(key.startswith(("raw/", "canonical/", "checkpoint/")) for key in moved)


def test_a_run_override_reaches_the_checkpoints_alone():
    plain, changed = steps_of(resolve("test")), steps_of(resolve("test", overrides=["training.learning_rate=0.5"]))
    assert {key for key in plain if plain[key].version != changed[key].version} == {f"checkpoint/{name}" for name in MODELS}


def test_the_machine_keys_of_a_run_change_no_recipe():
    plain, changed = (
        steps_of(resolve("test")),
        steps_of(resolve("test", overrides=["training.num_workers=3", "training.log_every_steps=7"])),
    )
    assert all(plain[key].version == changed[key].version for key in plain)


def test_steps_come_after_their_inputs(settings):
    steps, seen = steps_of(settings), set()
    for step in in_order(steps):
        assert set(step.parents) <= seen
        seen.add(step.key)


def test_every_data_asset_is_asked_for_by_somebody(settings, graph):
    """A raw folder by the sensor, everything else by its condition: generated data too, or a fresh machine would wait for ever."""
    watched = {key for key, step in steps_of(settings).items() if step.group == "raw" and step.observe is not None}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        if node.group_name in ("raw", "canonical", "corpus") and steps_of(settings)[key.to_user_string()].automatic:
            assert (key.to_user_string() in watched) != (node.automation_condition is not None), key
