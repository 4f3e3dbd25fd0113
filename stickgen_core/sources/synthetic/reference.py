"""How long a move's one stroke takes at normal tempo: performed alone by bodies of its own, to hold other performances against."""

from functools import lru_cache

import numpy as np

from stickgen_core.records.seeds import generator
from stickgen_core.sources.actions import load_actions
from stickgen_core.sources.synthetic.acts import Act, natural_duration
from stickgen_core.sources.synthetic.catalogue import Catalogue
from stickgen_core.sources.synthetic.rhythm import effort_s, speed_class, strokes_on_top
from stickgen_core.sources.synthetic.scene import Person, Scene, moves_of
from stickgen_core.sources.synthetic.stage import play

# Bodies that a reference is the mean of, and seconds that they stand before and after.
_BODIES, _REST_S = 3, 0.4


@lru_cache(maxsize=1024)
def _normal_effort_s(move: str, side: str | None, on_top: bool) -> float:
    moves, config = moves_of()
    act = Act("gesture", move, side, 1)
    act = act.at(_REST_S, _REST_S + (natural_duration(act, moves) or 0.0))
    scene = Scene("single", (Person((0.0, 0.0, 0.0), (act,)),), act.stop + _REST_S)
    found = []
    for body in range(_BODIES):
        joints = play(scene, moves, config, generator(0, "reference", move, side or "", body), load_actions().ids).joints[:, 0]
        seen = strokes_on_top(joints, act, moves, config.fps, side) if on_top else (1, None, effort_s(joints, act, moves, config.fps))
        found.append(seen[2] if seen is not None and seen[2] is not None else np.nan)
    return float(np.mean(found))


def single_speed(joints: np.ndarray, act: Act, moves: Catalogue, fps: float) -> str | None:
    """Speed class of an act of one stroke by one person [T, 22, 3]; None where hardly anything moves."""
    return _class(effort_s(joints, act, moves, fps), act, on_top=False)


def single_speed_on_top(effort: float | None, act: Act) -> str | None:
    """The same of a stroke over a gait or a seat, from its effort in seconds."""
    return _class(effort, act, on_top=True)


def _class(effort: float | None, act: Act, on_top: bool) -> str | None:
    normal = _normal_effort_s(act.move, act.side, on_top)
    return None if effort is None or np.isnan(normal) else speed_class(effort / normal)
