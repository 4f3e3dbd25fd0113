"""Synthetic motion beside captured motion, like with like: jerk, speeds and cadence of each action, as a table and a figure.

    python -m bench.synthetic_compare docs/figures/synthetic_motion.png --deepmimic data/demo/raw/deepmimic [--cmu /usr/share/assimp/models/BVH]

Every figure is of one performance at 25 fps: the mean (or median) over frames and joints, then the median over performances. Jerk is the
length of the third difference, raw and after the same low-pass filter for both (6 Hz, Butterworth of second order, there and back: what
biomechanics does with marker data), because what captures hold above it is mostly their sensor. Cadence is how often the feet pass each other,
in steps a second. A synthetic performance is the span of its act, of a kind that
some capture shows; held-out pairs, many of whose rules ask for slow acts, are left out. A DeepMimic clip is its act, over and
over. The CMU clips show somebody who mostly stands and walks between acts: of 01_01 (jumps on a playground) and 01_03 (climbing) the spans
count in which no foot is on the ground, and half a second around them.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.canonical import CanonicalConfig
from stickgen_core.canonical.clips import clips_of
from stickgen_core.corpus import Clip
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.readers import reader_for
from stickgen_core.sources.registry import Licence, SourceSpec, load_registry
from stickgen_core.sources.synthetic import SyntheticReader

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FPS = 25.0
# Synthetic performances shorter than this say little.
SHORTEST_FRAMES = 20
CUT_HZ = 6.0
OFF_GROUND_M, AROUND_S = 0.05, 0.5
# What the captures show, by the action that they are compared with.
CAPTURES = {
    "walk": ("walk", "0walk_forward", "turn_left0", "turn_left1", "turn_right0", "turn_right1"), "run": ("run",), "crawl": ("crawl",),
    "jump": ("jump",), "kick": ("kick", "spinkick"), "punch": ("punch",), "dance": ("dance_a", "dance_b"),
    "get_up": ("getup_facedown", "getup_faceup"), "spin": ("spin",), "roll": ("roll",), "cartwheel": ("cartwheel",), "flip": ("backflip",),
}  # fmt: skip
# Moves of these actions that no capture shows.
UNLIKE = ("stomp", "jumping_jack", "limp", "march")
CMU = {"01_01.bvh": "jump", "01_03.bvh": "climb"}
MEASURES = (
    "mean jerk, m/s³",
    "median jerk, m/s³",
    "mean jerk below 6 Hz",
    "median jerk below 6 Hz",
    "pelvis speed, m/s",
    "wrist speed, m/s",
    "foot speed, m/s",
    "cadence, steps/s",
)
PACED = ("walk", "run")


def statistics(body: np.ndarray, action: str) -> tuple[float, ...]:
    """Figures of one performance [T, 22, 3], in the order of MEASURES; no cadence but of walking and running."""
    speed = np.linalg.norm(np.diff(body, axis=0), axis=-1) * FPS
    jerk, calm = (np.linalg.norm(np.diff(x, 3, axis=0), axis=-1) * FPS**3 for x in (body, below_6_hz(body)))
    mean = [
        float(speed[:, [JOINT[n] for n in names]].mean())
        for names in (("pelvis",), ("left_wrist", "right_wrist"), ("left_foot", "right_foot"))
    ]
    jerks = (float(v) for v in (jerk.mean(), np.median(jerk), calm.mean(), np.median(calm)))
    return *jerks, *mean, cadence(body) if action in PACED else np.nan


def below_6_hz(body: np.ndarray) -> np.ndarray:
    """[T, ...] without what is faster than 6 Hz, not delayed."""
    from scipy.signal import butter, filtfilt

    return np.asarray(filtfilt(*butter(2, CUT_HZ / (0.5 * FPS)), body, axis=0))


def off_the_ground(body: np.ndarray) -> Iterator[np.ndarray]:
    """The parts of [T, 22, 3] in which no foot is on the ground, and half a second around each."""
    high = body[:, [JOINT["left_foot"], JOINT["right_foot"]], 1].min(1) > OFF_GROUND_M
    margin = int(AROUND_S * FPS)
    near = np.convolve(high, np.ones(2 * margin + 1), mode="same") > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], near.astype(int), [0]])))
    yield from (body[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= SHORTEST_FRAMES)


def cadence(body: np.ndarray) -> float:
    """Steps a second: how often one foot passes the other along the way that the hips face, by the median interval."""
    across = body[:, JOINT["left_hip"]] - body[:, JOINT["right_hip"]]
    ahead = np.stack([-across[:, 2], across[:, 0]], -1)
    apart = ((body[:, JOINT["left_foot"]] - body[:, JOINT["right_foot"]])[:, [0, 2]] * ahead).sum(-1)
    # Feet that are close together pass nobody: the way is from one side to clearly the other.
    clear = np.flatnonzero(np.abs(apart) > 0.15 * np.abs(apart).max())
    passed = clear[1:][np.diff(np.sign(apart[clear])) != 0]
    return float(FPS / np.median(np.diff(passed))) if len(passed) > 2 else np.nan


def synthetic(clips: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    """(action, figures) of every performance of an action in scenes of one person."""
    source = SyntheticReader(load_registry(CONFIGS / "datasets")["synthetic"])
    names = [row.name for row in load_actions().rows]
    for index in range(clips):
        clip = source.clip(index)
        if clip.extra["kind"] not in ("single", "sequence") or "minimal_twin" in clip.extra:
            continue
        unlike = any(act["move"] in UNLIKE for act in clip.extra["people"][0]["acts"])
        for label in clip.labels:
            name, first, last = names[label.action], int(label.start_s * FPS), int(label.end_s * FPS)
            if last - first >= SHORTEST_FRAMES and (name != "stand" or len(clip.labels) == 1) and not (unlike and name in CAPTURES):
                yield name, statistics(clip.joints[first:last, 0], name)


def captured(spec: SourceSpec, raw: Path) -> Iterator[Clip]:
    reader = reader_for(spec)
    for one in reader.discover(raw).units:
        for recording in reader.read(raw, one):
            yield from (c for c in clips_of(recording, spec, CanonicalConfig(), SkeletonConfig()) if isinstance(c, Clip))


def captures(deepmimic: Path, cmu: Path | None) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """(source, action, figures) of every capture."""
    of = {name: action for action, members in CAPTURES.items() for name in members}
    for clip in captured(load_registry(CONFIGS / "datasets")["deepmimic"], deepmimic):
        name = clip.id.partition("/")[2].partition("#")[0]
        if name in of:
            yield "DeepMimic", of[name], statistics(clip.joints[:, 0].astype(np.float64), of[name])
    if cmu is not None:
        # The unit of CMU files is 1/0.45 inch; frame 0 is an inserted T-pose.
        spec = SourceSpec(name="cmu", title="CMU", reader="bvh", skeleton="cmu", licence=Licence(name="free"), layout=tuple(CMU),
                          unit_m=0.0254 / 0.45, options={"skip_frames": 1})  # fmt: skip
        for clip in captured(spec, cmu):
            action = next(action for file, action in CMU.items() if clip.id.partition("/")[2].startswith(file[:5]))
            yield from (("CMU", action, statistics(part, action)) for part in off_the_ground(clip.joints[:, 0].astype(np.float64)))


def _median(values: list[float]) -> float:
    known = [v for v in values if not np.isnan(v)]
    return float(np.median(known)) if known else float("nan")


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--deepmimic", type=Path, required=True)
    parser.add_argument("--cmu", type=Path)
    parser.add_argument("--clips", type=int, default=3000)
    given = parser.parse_args()
    ours: dict[str, list[tuple[float, ...]]] = {}
    for action, row in synthetic(given.clips):
        ours.setdefault(action, []).append(row)
    theirs: dict[str, list[tuple[str, tuple[float, ...]]]] = {}
    for source, action, row in captures(given.deepmimic, given.cmu):
        theirs.setdefault(action, []).append((source, row))
    actions = [a for a in (*CAPTURES, "climb") if a in theirs and a in ours]
    print("| action (synthetic / captured) |" + "".join(f" {m} |" for m in MEASURES) + "\n|---|" + "---|" * len(MEASURES))
    for action in actions:
        cells = []
        for n in range(len(MEASURES)):
            a, b = _median([r[n] for r in ours[action]]), _median([r[n] for _, r in theirs[action]])
            cells.append("" if np.isnan(b) else f"{a:.3g} / {b:.3g} = {a / b:.2f}")
        print(f"| {action} ({len(ours[action])} / {len(theirs[action])}) | " + " | ".join(cells) + " |")
    ratios = np.array(
        [[np.median([r[n] for r in ours[a]]) / np.median([r[n] for _, r in theirs[a]]) for n in range(len(MEASURES) - 1)] for a in actions]
    )
    inside = (ratios > 0.5) & (ratios < 2)
    print("within a factor of 2:", {m: f"{k} of {len(actions)}" for m, k in zip(MEASURES, inside.sum(0).tolist(), strict=False)})
    print("geometric mean of the ratios:", {m: round(float(v), 2) for m, v in zip(MEASURES, np.exp(np.log(ratios).mean(0)), strict=False)})
    everything = [r for rows in ours.values() for r in rows]
    print("all performances:", {m: round(float(np.nanmedian([r[n] for r in everything])), 2) for n, m in enumerate(MEASURES)})
    print(
        "all captures:",
        {m: round(float(np.nanmedian([r[n] for rows in theirs.values() for _, r in rows])), 2) for n, m in enumerate(MEASURES)},
    )
    figure, axes = plt.subplots(2, 4, figsize=(20, 9))
    for n, (axis, measure) in enumerate(zip(axes.flat, MEASURES, strict=True)):
        shown = [a for a in actions if a in PACED] if n == len(MEASURES) - 1 else actions
        axis.boxplot(
            [[r[n] for r in ours[a] if not np.isnan(r[n])] for a in shown], whis=(5, 95), showfliers=False, tick_labels=shown, widths=0.6
        )
        for source, colour in (("DeepMimic", "tab:red"), ("CMU", "tab:blue")):
            dots = [(x + 1, r[n]) for x, a in enumerate(shown) for s, r in theirs[a] if s == source]
            if dots:
                axis.plot(*zip(*dots, strict=True), "o", color=colour, ms=5, label=source, alpha=0.8)
        axis.set_title(measure)
        axis.tick_params(axis="x", rotation=60)
        if n < 4:
            axis.set_yscale("log")
    axes[0, 0].legend()
    figure.suptitle(f"{len(everything)} synthetic performances (boxes: quartiles, whiskers 5 to 95 %) beside captures (dots), 25 fps")
    figure.tight_layout()
    figure.savefig(given.file, dpi=70)


if __name__ == "__main__":
    main()
