"""The signal is in the motion: simple statistics of the sticks tell actions and minimal twins apart, shuffled ones do not."""

from pathlib import Path

import numpy as np
import pytest

from stickgen_core.skeleton.sticks import stick_layout, sticks
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.registry import load_registry
from stickgen_core.sources.synthetic import SyntheticReader
from stickgen_core.sources.synthetic.compose import draw_minimal_pair
from stickgen_core.sources.synthetic.drawing import Drawer
from stickgen_core.sources.synthetic.scene import Person, Scene, moves_of
from stickgen_core.sources.synthetic.stage import play

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
AZIMUTH_DEG = 45.0


def statistics(joints: np.ndarray) -> np.ndarray:
    """[T, A, 22, 3] -> features of the first person's sticks, seen as training sees them."""
    x = sticks(joints[:, :1], stick_layout("stick20"), AZIMUTH_DEG)[:, 0]
    x = x - np.tile(x[0, 6:8], x.shape[1] // 2)
    v = np.diff(x, axis=0) * 25
    grid = x[np.linspace(0, len(x) - 1, 12).round().astype(int)]
    return np.concatenate([x.mean(0), x.std(0), x.min(0), x.max(0), np.abs(v).mean(0), v.std(0), x[-1] - x[0], grid.ravel()])


def clips_of_actions(each: int) -> tuple[np.ndarray, np.ndarray]:
    """Features and action ids of single performances that all face +Z, as canonical clips do."""
    from stickgen_core.records.seeds import generator
    from stickgen_core.sources.synthetic.company import TOGETHER, pair

    moves, config = moves_of()
    ids = load_actions().ids
    features, labels = [], []
    for name, action in ids.items():
        for n in range(each):
            rng = generator(5, "probe", name, n)
            draw = Drawer(rng, moves, config, (1.5, 6.0))
            if name in TOGETHER and name in ("shake_hands", "hug"):
                scene = pair(draw, name)
                home = Person((0.0, 0.0, 0.0), scene.people[0].acts), Person((0.0, 0.9, np.pi), scene.people[1].acts)
                scene = Scene("pair", home, scene.seconds, name)
            else:
                acts, seconds = draw.line_up(list(draw.alone(name)))
                scene = Scene("single", (Person((0.0, 0.0, 0.0), acts),), seconds)
            features.append(statistics(play(scene, moves, config, rng, ids).joints))
            labels.append(action)
    return np.array(features), np.array(labels)


def linear_accuracy(features: np.ndarray, labels: np.ndarray) -> float:
    """Ridge regression onto one-hot labels, every fourth performance held out."""
    test = np.arange(len(labels)) % 4 == 3
    x = (features - features[~test].mean(0)) / (features[~test].std(0) + 1e-6)
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    y = np.eye(labels.max() + 1)[labels]
    a = x[~test].T @ x[~test] + 30.0 * np.eye(x.shape[1])
    guess = (x[test] @ np.linalg.solve(a, x[~test].T @ y[~test])).argmax(1)
    return float((guess == labels[test]).mean())


def test_a_linear_probe_recovers_the_actions_from_the_sticks():
    features, labels = clips_of_actions(12)
    assert linear_accuracy(features, labels) > 0.60
    shuffled = np.random.default_rng(0).permutation(labels)
    assert linear_accuracy(features, shuffled) < 0.06


@pytest.mark.slow
def test_a_linear_probe_with_more_performances_recovers_them_better():
    features, labels = clips_of_actions(60)
    assert linear_accuracy(features, labels) > 0.75


def twin_accuracy(rules: int, each: int) -> float:
    """Share of performances whose nearest neighbour among others of the same rule is on the same side of the pair."""
    from stickgen_core.records.seeds import generator

    moves, config = moves_of()
    ids = load_actions().ids
    groups: dict[int, list[tuple[bool, np.ndarray]]] = {}
    n = 0
    while sum(map(len, groups.values())) < rules * each:
        for second in (False, True):
            rng = generator(9, "twins", n)
            scene = draw_minimal_pair(rng, moves, config, (1.5, 7.0), second)
            person = Person((0.0, 0.0, 0.0), scene.people[0].acts)
            played = play(Scene(scene.kind, (person,), scene.seconds), moves, config, generator(9, "body", n, second), ids)
            groups.setdefault(scene.rule, []).append((second, statistics(played.joints)))
        n += 1
    right = total = 0
    for members in groups.values():
        x = np.array([f for _, f in members])
        x = (x - x.mean(0)) / (x.std(0) + 1e-6)
        far = ((x[:, None] - x[None]) ** 2).sum(-1)
        np.fill_diagonal(far, np.inf)
        nearest = far.argmin(1)
        right += sum(members[i][0] == members[j][0] for i, j in enumerate(nearest))
        total += len(members)
    return right / total


def test_the_nearest_neighbour_tells_minimal_twins_apart():
    assert twin_accuracy(16, 24) > 0.75


def test_the_reader_gives_what_the_corpus_needs():
    clip = SyntheticReader(load_registry(CONFIGS / "datasets")["synthetic"]).clip(4)
    assert clip.joints.dtype == np.float64 and clip.joints.shape[2:] == (22, 3) and clip.fps == 25
    assert clip.present.shape == clip.joints.shape[:2] and clip.present.all()
