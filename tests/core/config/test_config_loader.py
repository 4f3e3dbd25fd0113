"""Configuration refuses what it does not know, says what was meant, and hashes by value."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stickgen_core.config import Section, config_hash, dump_yaml, load, parse_override
from stickgen_core.errors import ConfigError


class Optimiser(Section):
    learning_rate: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)


class Root(Section):
    training: Optimiser = Optimiser()
    name: str = "x"
    parts: dict[str, Optimiser] = {}
    maybe: Optimiser | None = None


def written(tmp_path, text):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    return path


def test_later_files_and_overrides_win(tmp_path):
    first = written(tmp_path, "training: {learning_rate: 0.5}\nname: a\n")
    config = load(Root, [first], ["training.learning_rate=0.001", "training.betas=[0.5, 0.6]", "name=b"])
    assert config == Root(training=Optimiser(learning_rate=0.001, betas=(0.5, 0.6)), name="b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {learning_rat: 1}", "unknown key 'training.learning_rat' (did you mean 'training.learning_rate'?)"),
        ("trainin: {}", "(did you mean 'training'?)"),
        ("parts: {a: {beta: [1, 2]}}", "(did you mean 'parts.a.betas'?)"),
        ("maybe: {learning_rte: 1}", "(did you mean 'maybe.learning_rate'?)"),
        ("training: {learning_rate: fast}", "training.learning_rate: input should be a valid number"),
        ("training: [1", "not valid YAML"),
        ("- 1", "expected a mapping"),
        ("name: a\nname: b", "given twice"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        load(Root, [written(tmp_path, text)])
    assert message in str(caught.value)
    assert "some.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_required_key_is_named_before_the_one_that_it_leaves_missing(tmp_path):
    class Needs(Section):
        seed: int

    with pytest.raises(ConfigError, match=r"unknown key 'sede' \(did you mean 'seed'\?\)"):
        load(Needs, [written(tmp_path, "sede: 3")])


def test_a_missing_file_and_a_broken_override_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load(Root, [tmp_path / "none.yaml"])
    with pytest.raises(ConfigError, match=r"expected section\.key=value"):
        parse_override("training.learning_rate")


def test_sections_are_frozen():
    with pytest.raises(Exception, match="frozen"):
        Root().training.learning_rate = 3.0  # type: ignore[misc]


@given(rate=st.floats(1e-6, 1, allow_nan=False), name=st.text(max_size=5))
@example(rate=1.0, name="\x85")
@example(rate=1.0, name="\u2028\ufeff\r")
def test_a_saved_configuration_loads_to_the_same_hash(tmp_path_factory, rate, name):
    config = Root(training=Optimiser(learning_rate=rate), name=name)
    path = tmp_path_factory.mktemp("saved") / "config.yaml"
    path.write_text(dump_yaml(config), encoding="utf-8")
    assert config_hash(load(Root, [path])) == config_hash(config)


def test_the_hash_sees_values_not_their_spelling(tmp_path):
    assert config_hash(load(Root, [written(tmp_path, "name: x")])) == config_hash(Root())
    assert config_hash(Root(name="y")) != config_hash(Root())
