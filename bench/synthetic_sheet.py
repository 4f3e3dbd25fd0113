"""The 64 actions of the synthetic source to look at: a contact sheet of poses, or a film of them side by side with their captions.

python -m bench.synthetic_sheet docs/figures/synthetic.png [--seed 0] [--stick]
python -m bench.synthetic_sheet docs/figures/synthetic.mp4
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stickgen_core.records.seeds import generator
from stickgen_core.skeleton.body import PARENTS
from stickgen_core.skeleton.sticks import project, stick_layout, sticks
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.synthetic.camera import Shot
from stickgen_core.sources.synthetic.captions import captions
from stickgen_core.sources.synthetic.company import pair
from stickgen_core.sources.synthetic.drawing import Drawer
from stickgen_core.sources.synthetic.scene import Person, Scene, moves_of
from stickgen_core.sources.synthetic.stage import play
from stickgen_core.sources.synthetic.words import grammar

POSES, ATTEMPTS = 8, 20
TILE_PX, FILM_COLUMNS, FILM_S, FPS = 168, 8, 7.0, 25
LEFT, RIGHT = (1, 4, 7, 10, 13, 16, 18, 20), (2, 5, 8, 11, 14, 17, 19, 21)
TOGETHER = {"shake_hands": "shake_hands", "hug": "hug"}


def one_action(action: str, seed: int) -> tuple[np.ndarray, str, slice]:
    """[T, A, 22, 3] of one performance that faces +Z, its caption, and the frames of the act itself."""
    moves, config = moves_of()
    ids = load_actions().ids
    for attempt in range(ATTEMPTS):
        rng = generator(seed, "sheet", action, attempt)
        draw = Drawer(rng, moves, config, (2.0, 6.0))
        if action in TOGETHER:
            scene = pair(draw, TOGETHER[action])
        else:
            acts, seconds = draw.line_up(list(draw.alone(action)))
            scene = Scene("single", (Person((0.0, 0.0, 0.0), acts),), seconds)
        played = play(scene, moves, config, rng, ids)
        if played.joints[..., 1].min() > -0.01:
            break
    text = captions(scene, Shot("none"), moves, config, grammar(), rng)[0].text
    acts = scene.people[0].acts
    first, last = int(acts[0].start * config.fps), min(int(acts[-1].stop * config.fps) + 1, len(played.joints))
    return played.joints, text, slice(first, last)


def sheet(file: Path, seed: int, azimuth_deg: float, stick: bool) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    actions = load_actions()
    columns = 4
    figure, axes = plt.subplots(-(-len(actions) // columns), columns, figsize=(26, 40))
    layout = stick_layout("stick20")
    for axis, row in zip(axes.flat, actions.rows, strict=False):
        joints, text, span = one_action(row.name, seed)
        for n, frame in enumerate(np.linspace(span.start, span.stop - 1, POSES + 2).round().astype(int)[1:-1]):
            for a in range(joints.shape[1]):
                if stick:
                    lines = sticks(joints[frame : frame + 1], layout, azimuth_deg)[0, a].reshape(-1, 2, 2)
                    colours = ["k", "k", "tab:blue", "tab:red", "tab:green"]
                else:
                    flat = project(joints[frame, a], azimuth_deg)
                    lines = np.stack([flat[1:], flat[list(PARENTS)[1:]]], 1)
                    colours = ["tab:blue" if j in LEFT else "tab:red" if j in RIGHT else "k" for j in range(1, 22)]
                # Poses stand side by side; how far the body went is left out.
                middle = np.array([project(joints[frame, :, 0].mean(0), azimuth_deg)[0], 0.0])
                for line, colour in zip(lines - middle + [1.15 * n, 0.0], colours, strict=True):
                    axis.plot(line[:, 0], line[:, 1], color=colour, lw=1.7)
        axis.axhline(0, color="0.8", lw=0.8)
        axis.set_title(f"{row.id} {row.name}: {text[:64]}", fontsize=10)
        axis.set_aspect("equal")
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(file, dpi=60)


def film_frames(seed: int, azimuth_deg: float) -> Iterator[np.ndarray]:
    """All actions at once, each in its own tile and over and over, its caption below it."""
    import cv2

    rows = load_actions().rows
    made = [one_action(row.name, seed) for row in rows]
    size = (-(-len(rows) // FILM_COLUMNS) * TILE_PX, FILM_COLUMNS * TILE_PX)
    for n in range(int(FILM_S * FPS)):
        picture = np.full((*size, 3), 255, np.uint8)
        for k, (row, (joints, text, _)) in enumerate(zip(rows, made, strict=True)):
            top, left = k // FILM_COLUMNS * TILE_PX, k % FILM_COLUMNS * TILE_PX
            frame = n % (len(joints) + FPS // 2)
            frame = min(frame, len(joints) - 1)
            flat = project(joints[frame], azimuth_deg)
            middle = project(joints[frame, :, 0].mean(0), azimuth_deg)[0]
            scale = (TILE_PX - 44) / 2.35
            points = np.stack([(flat[..., 0] - middle) * scale + TILE_PX / 2 + left, top + TILE_PX - 36 - flat[..., 1] * scale], -1)
            cv2.line(picture, (left, top + TILE_PX - 36), (left + TILE_PX, top + TILE_PX - 36), (225, 225, 225), 1)
            for body in points:
                for joint in range(1, len(PARENTS)):
                    colour = (31, 119, 180) if joint in LEFT else (214, 39, 40) if joint in RIGHT else (20, 20, 20)
                    ends = [tuple(np.round(body[j] * 8).astype(int).tolist()) for j in (joint, PARENTS[joint])]
                    cv2.line(picture, ends[0], ends[1], colour, 2, cv2.LINE_AA, 3)
            cv2.putText(picture, f"{row.id} {row.name}", (left + 4, top + 12), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
            for line, part in enumerate(_wrapped(text, 34)[:3]):
                place = (left + 3, top + TILE_PX - 26 + 10 * line)
                cv2.putText(picture, part, place, cv2.FONT_HERSHEY_SIMPLEX, 0.27, (90, 90, 90), 1, cv2.LINE_AA)
        yield picture


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a .png for the contact sheet, an .mp4 for the film")
    parser.add_argument("--azimuth", type=float, default=45.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stick", action="store_true", help="draw the stick20 segments instead of all bones")
    given = parser.parse_args()
    if given.file.suffix == ".mp4":
        from stickgen_core.rendering import RenderingConfig
        from stickgen_core.rendering.media import write_mp4

        write_mp4(given.file, film_frames(given.seed, given.azimuth), FPS, RenderingConfig().video)
    else:
        sheet(given.file, given.seed, given.azimuth, given.stick)


if __name__ == "__main__":
    main()
