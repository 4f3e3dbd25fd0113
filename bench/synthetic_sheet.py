"""Contact sheet of the 64 actions of the synthetic source: `python bench/synthetic_sheet.py sheet.png [--azimuth 45] [--stick]`."""

import argparse
from pathlib import Path

import numpy as np

from stickgen_core.records.seeds import generator
from stickgen_core.skeleton.body import PARENTS
from stickgen_core.skeleton.sticks import project, stick_layout, sticks
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.synthetic.company import pair
from stickgen_core.sources.synthetic.drawing import Drawer
from stickgen_core.sources.synthetic.scene import Person, Scene, moves_of
from stickgen_core.sources.synthetic.stage import play

POSES = 7


def one_action(action: str, seed: int) -> np.ndarray:
    """[T, A, 22, 3] of one performance that faces +Z."""
    moves, config = moves_of()
    rng = generator(seed, "sheet", action)
    draw = Drawer(rng, moves, config, (2.0, 6.0))
    if action in ("shake_hands", "hug"):
        scene = pair(draw, action)
    else:
        acts, seconds = draw.line_up(list(draw.alone(action)))
        scene = Scene("single", (Person((0.0, 0.0, 0.0), acts),), seconds)
    return play(scene, moves, config, rng, load_actions().ids).joints


def main() -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--azimuth", type=float, default=45.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stick", action="store_true", help="draw the stick20 segments instead of all bones")
    given = parser.parse_args()
    actions = load_actions()
    columns = 4
    figure, axes = plt.subplots(-(-len(actions) // columns), columns, figsize=(26, 40))
    layout = stick_layout("stick20")
    for axis, row in zip(axes.flat, actions.rows, strict=False):
        joints = one_action(row.name, given.seed)
        frames = np.linspace(0, len(joints) - 1, POSES).round().astype(int)
        for n, frame in enumerate(frames):
            for a in range(joints.shape[1]):
                if given.stick:
                    flat = sticks(joints[frame : frame + 1], layout, given.azimuth)[0, a].reshape(-1, 2, 2)
                    lines, colours = flat, ["k", "k", "tab:blue", "tab:red", "tab:green"]
                else:
                    flat = project(joints[frame, a], given.azimuth)
                    lines = np.stack([flat[1:], flat[list(PARENTS)[1:]]], 1)
                    side = [
                        1 if j in (1, 4, 7, 10, 13, 16, 18, 20) else 2 if j in (2, 5, 8, 11, 14, 17, 19, 21) else 0 for j in range(1, 22)
                    ]
                    colours = [("k", "tab:blue", "tab:red")[s] for s in side]
                for line, colour in zip(lines, colours, strict=True):
                    axis.plot(line[:, 0] + 1.3 * n, line[:, 1], color=colour, lw=1.6)
        axis.axhline(0, color="0.8", lw=0.8)
        axis.set_title(f"{row.id} {row.name} ({len(joints)})", fontsize=11)
        axis.set_aspect("equal")
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(given.file, dpi=60)


if __name__ == "__main__":
    main()
