"""What scores are made of: pure functions of tracks, vectorised over people and clips, one number a track. Lengths in metres, times in seconds."""

from collections.abc import Sequence

import numpy as np

from stickgen_core.curation.config import ScoresConfig
from stickgen_core.curation.tracks import Tracks
from stickgen_core.skeleton.body import JOINT, JOINT_COUNT, JOINT_NAMES, PARENTS

LIMBS = tuple(j for j, name in enumerate(JOINT_NAMES) if any(part in name for part in ("knee", "ankle", "elbow", "wrist")))
EXTREMES = tuple(JOINT[n] for n in ("pelvis", "head", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
                                    "left_knee", "right_knee", "left_foot", "right_foot"))  # fmt: skip
FEET = (JOINT["left_foot"], JOINT["right_foot"])
FOURTH_DIFFERENCE_GAIN, SECOND_DIFFERENCE_GAIN = 70.0, 6.0  # sums of squared binomial coefficients: variance of differenced white noise
NORMAL_SQUARE_OVER_MEAN = 3 * np.pi / 8  # mean square of a normal vector's length in 3D over its squared mean


def mass_points() -> np.ndarray:
    """[22] weights that give the centre of mass: head .08, torso .50, each arm .05, legs .32 at the middle of pelvis and feet middle."""
    shares = {"head": 0.08, "neck": 0.25, "pelvis": 0.25 + 0.16, "left_foot": 0.08, "right_foot": 0.08}
    shares |= {f"{side}_{joint}": 0.025 for side in ("left", "right") for joint in ("shoulder", "wrist")}
    weights = np.zeros(JOINT_COUNT)
    for name, share in shares.items():
        weights[JOINT[name]] = share
    return weights / weights.sum()


def square_sum(vectors: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """[3, ...] -> [...]: squared length of coordinate-first vectors; the vectors themselves are used up."""
    np.square(vectors, out=vectors)
    found = np.add(vectors[0], vectors[1], out=out)
    found += vectors[2]
    return found


def only(values: np.ndarray, inside: np.ndarray, tracks: Tracks) -> np.ndarray:
    """[n, J], zero where it is not inside [n] bool or the joint is not known: the values themselves, changed."""
    values[~inside] = 0.0
    if not tracks.measured.all():
        values[~tracks.measured[tracks.owner[: len(values)]]] = 0.0
    return values


def steps(tracks: Tracks) -> np.ndarray:
    """[N − 1, 22]: metres each known joint moves to the next frame; zero across tracks and for joints that are not known."""
    length = square_sum(tracks.planes[:, 1:] - tracks.planes[:, :-1])
    return only(np.sqrt(length, out=length), tracks.pairs(1), tracks)


def mean_step(tracks: Tracks, step: np.ndarray) -> np.ndarray:
    """[K]: mean over frames and known joints, metres a frame."""
    known = np.maximum(tracks.measured.sum(1), 1)
    return tracks.total(step.sum(1)) / (known * np.maximum(tracks.lengths - 1, 1))


def jitter(tracks: Tracks, step: np.ndarray, config: ScoresConfig) -> np.ndarray:
    """[K]: variance of acceleration noise over squared mean velocity, per frame.

    Noise is what the fourth difference leaves: smooth motion of up to some 3 Hz does not enter, white noise enters whole. Its variance is
    taken from its mean length, so that noise all along counts and one sharp kick or landing hardly does.
    """
    fourth = np.diff(tracks.planes, 4, axis=1)
    if not fourth.size:
        return np.zeros(tracks.count)
    inside = tracks.pairs(4)
    length = square_sum(fourth)
    length = only(np.sqrt(length, out=length), inside, tracks).sum(1)
    count = np.maximum(tracks.total(inside.astype(float)), 1) * np.maximum(tracks.measured.sum(1), 1)
    noise = (tracks.total(length) / count) ** 2 * NORMAL_SQUARE_OVER_MEAN * (SECOND_DIFFERENCE_GAIN / FOURTH_DIFFERENCE_GAIN)
    velocity = np.maximum(mean_step(tracks, step), config.jitter_velocity_floor_m_s / config.fps)
    return noise / velocity**2


def static_share(tracks: Tracks, step: np.ndarray, config: ScoresConfig) -> np.ndarray:
    """[K]: share of frames in which no joint moves farther than `static_step_m` and no label says that a posture is held.

    Who stands, sits or lies as labelled does what the label says; but living people sway, so a frame that repeats the last one is static.
    """
    farthest = step.max(1, initial=0.0)
    still = tracks.pairs(1) & (farthest < config.static_step_m)
    if tracks.held is not None:
        still &= ~(tracks.held[:-1] & (farthest > config.held_sway_m))
    return np.where(tracks.lengths > 1, tracks.total(still.astype(float)) / np.maximum(tracks.lengths - 1, 1), 1.0)


def explosion_z(tracks: Tracks, step: np.ndarray, config: ScoresConfig) -> np.ndarray:
    """[K]: the largest excess of a joint's speed over its speed two frames before and after, in standard deviations of the clip's speeds.

    A kick is fast for several frames; a joint that jumps is fast for one or two. So a fast motion has no excess and a jump is all excess.
    """
    owner = tracks.owner
    around = np.zeros_like(step)
    lonely = np.ones(len(step), bool)
    if len(step) > 2:
        joined = tracks.pairs(3)  # step t joins t and t + 1: steps t and t + 2 lie in one track if frames t and t + 3 do
        around[2:] = np.where(joined[:, None], step[:-2], 0.0)
        lonely[2:] &= ~joined
        around[:-2] = np.maximum(around[:-2], np.where(joined[:, None], step[2:], 0.0))
        lonely[:-2] &= ~joined
    excess = np.where((lonely | ~tracks.pairs(1))[:, None], 0.0, step - around).max(1, initial=0.0)
    known = tracks.measured.sum(1)[owner[:-1]] if len(owner) else np.zeros(0)
    count = np.maximum(tracks.total(np.where(tracks.pairs(1), known, 0.0)), 1)
    mean = tracks.total(step.sum(1)) / count
    variance = np.maximum(tracks.total((step**2).sum(1)) / count - mean**2, 0.0)
    spread = np.clip(np.sqrt(variance) * config.fps, *config.explosion_std_m_s)
    return tracks.most(excess) * config.fps / spread


def repetition(tracks: Tracks, config: ScoresConfig, extremes: Sequence[int] = EXTREMES) -> np.ndarray:
    """[K]: how exactly the whole pose comes back in place after some lag, 1 for a perfect loop.

    For each joint that moves: 1 − error after the lag / tolerated error, which is a share of the farthest distance on the way there (root
    mean squares over the track); averaged over joints, the best lag. Somebody who travels does not come back, so cyclic locomotion is no
    repetition; people's cycles in place differ from each other; one waving arm is fewer joints than count.
    """
    first, last = config.repetition_lags_frames
    points = np.ascontiguousarray(tracks.planes[:, :, list(extremes)])
    known = tracks.measured[:, list(extremes)]
    farthest = np.zeros((tracks.count, len(extremes)))
    best = np.zeros(tracks.count)
    frames = points.shape[1]
    between, square = np.empty_like(points), np.empty(points.shape[1:])
    for lag in range(1, min(last, frames - 1) + 1):
        n = frames - lag
        square_sum(np.subtract(points[:, lag:], points[:, :n], out=between[:, :n]), out=square[:n])
        square[:n][~tracks.pairs(lag)] = 0.0
        square[n:] = 0.0
        apart = np.sqrt(tracks.total(square) / np.maximum(tracks.lengths - lag, 1)[:, None])
        if lag >= first:
            moving = (farthest > config.repetition_excursion_m) & known
            error = apart / np.where(moving, farthest * config.repetition_tolerance, 1.0)
            back = np.where(moving, 1 - error, 0.0).clip(0).sum(1) / np.maximum(moving.sum(1), 1)
            whole = (moving.sum(1) >= config.repetition_joints_share * len(extremes)) & (tracks.lengths >= 3 * lag)
            best = np.where(whole, np.maximum(best, back), best)
        farthest = np.maximum(farthest, apart)
    return best


def limb_deviation(tracks: Tracks) -> np.ndarray:
    """[K]: the worst limb's standard deviation of length over its mean length, in 3D."""
    worst = np.zeros(tracks.count)
    for joint in LIMBS:
        parent = PARENTS[joint]
        length = np.sqrt(square_sum(tracks.planes[:, :, joint] - tracks.planes[:, :, parent]))
        mean = tracks.total(length) / tracks.lengths
        apart = length - np.repeat(mean, tracks.lengths)
        deviation = np.sqrt(tracks.total(apart**2) / tracks.lengths) / np.maximum(mean, 1e-6)
        worst = np.maximum(worst, np.where(tracks.measured[:, joint] & tracks.measured[:, parent], deviation, 0.0))
    return worst


def physics_consistency(tracks: Tracks, config: ScoresConfig) -> np.ndarray:
    """[K]: share of frames whose centre of mass is within human bounds of speed, acceleration, and downward acceleration."""
    com = np.einsum("njc,j->nc", tracks.joints, mass_points())
    if len(com) < 3:
        return np.ones(tracks.count)
    inside = tracks.pairs(2)
    velocity = (com[2:] - com[:-2]) * (config.fps / 2)
    acceleration = (com[2:] - 2 * com[1:-1] + com[:-2]) * config.fps**2
    plausible = (
        (np.linalg.norm(velocity, axis=1) <= config.com_speed_limit_m_s)
        & (np.linalg.norm(acceleration, axis=1) <= config.com_acceleration_limit_m_s2)
        & (acceleration[:, 1] >= -config.com_fall_limit_m_s2)
    )
    frames = tracks.total(inside.astype(float))
    return np.where(frames > 0, tracks.total((inside & plausible).astype(float)) / np.maximum(frames, 1), 1.0)


def plausible_speed(tracks: Tracks, step: np.ndarray, config: ScoresConfig) -> np.ndarray:
    """[K]: share of frames in which no joint is faster than a human one."""
    fine = tracks.pairs(1) & (step.max(1, initial=0.0) * config.fps <= config.fast_joint_m_s)
    return np.where(tracks.lengths > 1, tracks.total(fine.astype(float)) / np.maximum(tracks.lengths - 1, 1), 1.0)


def foot_slide(tracks: Tracks, config: ScoresConfig) -> np.ndarray:
    """[K]: horizontal speed, m/s, of the slowest foot near the ground, averaged over frames where one is; 0 where nothing touches.

    The slowest, because the other foot of a walker passes close above the ground at full speed.
    """
    feet = tracks.planes[:, :, FEET]
    moved = feet[:, 1:] - feet[:, :-1]
    speed = np.sqrt(moved[0] ** 2 + moved[2] ** 2) * config.fps
    low = np.maximum(feet[1, 1:], feet[1, :-1]) < config.contact_height_m
    low &= tracks.pairs(1)[:, None] & tracks.measured[:, FEET][tracks.owner[:-1]]
    slowest = np.where(low, speed, np.inf).min(1, initial=np.inf)
    touching = np.isfinite(slowest)
    frames = tracks.total(touching.astype(float))
    return np.where(frames > 0, tracks.total(np.where(touching, slowest, 0.0)) / np.maximum(frames, 1), 0.0)
