"""New clips of captured training clips: mirrored with left and right swapped, re-timed within physical limits, spliced where poses match.

Off by default. Every part's origin is named in `extra["origins"]`, and only clips of the training split are used, so nothing crosses a
split. What a clip becomes depends on (seed, its digest) alone; a splice also on which other clips there are.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stickgen_core.canonical.space import placed_at_origin, placement_of
from stickgen_core.canonical.time import resample
from stickgen_core.config import config_hash
from stickgen_core.corpus import Clip, Corpus, CorpusWriter, LedgerRow, current
from stickgen_core.corpus.clip import followed_by, recombined_id
from stickgen_core.curation.config import CurationConfig, RecombineConfig
from stickgen_core.curation.retelling import mirrored_texts, retimed_texts, spliced_texts
from stickgen_core.curation.splicing import Join, best_join, bone_lengths, joined
from stickgen_core.records.digests import digest_json
from stickgen_core.records.seeds import unit
from stickgen_core.skeleton.body import JOINT
from stickgen_core.skeleton.config import SkeletonConfig
from stickgen_core.skeleton.mirror import mirror_joints
from stickgen_core.skeleton.physics import physics_where_present
from stickgen_core.skeleton.sticks import stick_layout, sticks
from stickgen_core.sources.recording import Text

Progress = Callable[[str, int, int], None] | None
RECOMBINE_VERSION = 1
STILL_CAMERA = (0.0, 1.0, 1.0)
_FEET = (JOINT["left_foot"], JOINT["right_foot"])
# Heading is taken as canonical clips take it (canonical.heading_min_share).
_HEADING_MIN_SHARE = 0.2


@dataclass(frozen=True)
class Refused:
    """Why a clip was not recombined: `reason` as the ledger says it."""

    reason: str
    detail: str


def recombine_recipe(config: RecombineConfig, skeleton: SkeletonConfig, fps: float) -> str:
    """Changes when the recombined corpus could."""
    return digest_json({"recombine": RECOMBINE_VERSION, "config": config_hash(config), "skeleton": config_hash(skeleton), "fps": fps})


def recombine(
    plain: Corpus, config: CurationConfig, folder: Path, *, shards: Path, skeleton: SkeletonConfig | None = None, progress: Progress = None
) -> Corpus:
    """Publish what becomes of the training clips of a merged corpus (it has the column `split`); every refusal is in the ledger."""
    skeleton = skeleton or SkeletonConfig()
    rules, fps = config.recombine, config.scores.fps
    recipe, parents = recombine_recipe(rules, skeleton, fps), {plain.manifest.name: plain.digest}
    ready = current(folder, recipe, parents)
    if ready is not None:
        return ready
    split, source = plain.column("split").astype(str), plain.index["source"].to_numpy(zero_copy_only=False).astype(str)
    actors = plain.column("actors")
    rows = [int(i) for i in np.flatnonzero((split == "train") & ~np.isin(source, rules.generated))]
    digests = plain.index["digest"].to_pylist()
    build = _Builder(skeleton, fps)
    with CorpusWriter(folder, shards=shards, name="recombined", recipe=recipe, parents=parents) as writer:
        made = refused = 0
        for kind, share, work in (
            ("mirrored", rules.mirrored_share, _mirrored(plain, rows, digests, rules, build)),
            ("retimed", rules.retimed_share, _retimed(plain, rows, digests, rules, build)),
            ("spliced", rules.spliced_share, _spliced(plain, [i for i in rows if actors[i] == 1], digests, rules, build)),
        ):
            if share <= 0:
                continue
            for n, (row, result) in enumerate(work):
                if isinstance(result, Clip):
                    writer.add(result)
                    made += 1
                else:
                    writer.drop(LedgerRow(plain.ids[row], "", kind, result.reason, result.detail))
                    refused += 1
                if progress is not None:
                    progress(f"recombine {kind}", n + 1, len(rows))
        notes = {"made": made, "refused": refused} | ({} if made else {"absent": "no training clip of a captured source qualifies"})
        return writer.publish(notes)


def chosen(seed: int, what: str, digest: str, share: float) -> bool:
    """Whether (seed, digest) draws a clip for a kind of recombination."""
    return unit(seed, "recombine", what, digest) < share


@dataclass(frozen=True)
class _Builder:
    """Makes a whole clip of new joints, as `canonical` makes it of a recording."""

    skeleton: SkeletonConfig
    fps: float

    def clip(self, base: Clip, name: str, joints: np.ndarray, present: np.ndarray, actions: np.ndarray, texts: tuple[Text, ...],
             joint_source: np.ndarray, extra: dict[str, object], origins: Sequence[str], window_s: tuple[float, float]) -> Clip:  # fmt: skip
        """joints [T, A, 22, 3] float64 in any place and heading."""
        placement = placement_of(joints, present, _HEADING_MIN_SHARE)
        joints = np.where(present[:, :, None, None], placed_at_origin(joints, placement), 0.0)
        layout = stick_layout(config=self.skeleton)
        motion = np.where(present[:, :, None], sticks(joints, layout, self.skeleton.azimuth_deg), 0.0)
        kept = {k: v for k, v in base.extra.items() if k not in ("azimuth_rad", "origins")}
        return replace(
            base, id=recombined_id(base.id, name), joints=joints.astype(np.float32), present=present, joint_source=joint_source,
            motion=motion.astype(np.float32), actions=actions.astype(np.int16),
            physics=physics_where_present(motion, present, self.fps, layout).astype(np.float32),
            camera=np.tile(np.array(STILL_CAMERA, np.float32), (len(joints), 1)), camera_source="none", texts=texts, window_s=window_s,
            origin_xz_m=placement.origin_xz_m, yaw_rad=placement.yaw_rad, official_split=None, protocol=None,
            extra={**kept, **extra, "origins": sorted({*map(str, origins), *_inherited(base)})},
        )  # fmt: skip


def _inherited(clip: Clip) -> tuple[str, ...]:
    return (clip.origin, *map(str, clip.extra.get("origins", ())))


def _mirrored(
    plain: Corpus, rows: Sequence[int], digests: Sequence[str], rules: RecombineConfig, build: _Builder
) -> Iterator[tuple[int, Clip | Refused]]:
    for i in rows:
        if not chosen(rules.seed, "mirrored", digests[i], rules.mirrored_share):
            continue
        clip = plain.clip(i)
        if "mirrored_of" in clip.extra:
            yield i, Refused("mirrored_already", str(clip.extra["mirrored_of"]))
            continue
        texts = mirrored_texts(clip.texts)
        if isinstance(texts, str):
            yield i, Refused("ambiguous_side", texts)
            continue
        source = mirror_joints(np.repeat(clip.joint_source[:, None].astype(np.float64), 3, 1))
        swapped = np.abs(source[:, 0]).astype(np.uint8)
        joints = mirror_joints(clip.joints.astype(np.float64))
        yield (
            i,
            build.clip(clip, "mirrored", joints, clip.present, clip.actions, texts, swapped, {"mirrored_of": clip.id}, (), clip.window_s),
        )


def _retimed(
    plain: Corpus, rows: Sequence[int], digests: Sequence[str], rules: RecombineConfig, build: _Builder
) -> Iterator[tuple[int, Clip | Refused]]:
    for i in rows:
        if not chosen(rules.seed, "retimed", digests[i], rules.retimed_share):
            continue
        clip = plain.clip(i)
        low, high = rules.tempo
        # Drawn evenly on a logarithmic scale, so that half as fast again is as likely as half as slow again.
        tempo = float(low * (high / low) ** unit(rules.seed, "tempo", digests[i]))
        yield i, _at_tempo(clip, tempo, rules, build)


def _at_tempo(clip: Clip, tempo: float, rules: RecombineConfig, build: _Builder) -> Clip | Refused:
    """The clip played `tempo` times as fast."""
    flight = longest_flight(clip.joints, clip.present, rules.flight_height_m)
    if flight > rules.flight_frames:
        return Refused("in_flight", f"{flight} frames; gravity cannot be re-timed")
    if not clip.present.all():
        return Refused("people_come_and_go", "re-timing needs everybody in every frame")
    frames = int(round((clip.frames - 1) / tempo)) + 1
    if not rules.min_frames <= frames <= rules.max_frames:
        return Refused("length", f"{frames} frames at {tempo:.2f} times the speed")
    texts = retimed_texts(clip.texts, tempo, rules.spoken_tempo)
    if isinstance(texts, str):
        return Refused("spoken_tempo", texts)
    times = np.linspace(0.0, (clip.frames - 1) / build.fps, frames)
    joints = resample(clip.joints.astype(np.float64), build.fps, times)
    actions = clip.actions[np.clip(np.rint(times * build.fps).astype(int), 0, clip.frames - 1)]
    seconds = (clip.window_s[0], round(clip.window_s[0] + frames / build.fps, 6))
    present = np.ones((frames, clip.actors), bool)
    return build.clip(clip, f"x{tempo:.2f}", joints, present, actions, texts, clip.joint_source, {"tempo": round(tempo, 4)}, (), seconds)


def longest_flight(joints: np.ndarray, present: np.ndarray, height_m: float) -> int:
    """Most frames in a row in which somebody's both feet are above a height: [T, A, 22, 3], [T, A]."""
    off = (joints[:, :, _FEET, 1].min(2) > height_m) & present
    longest = 0
    for person in off.T:
        run = 0
        for up in person:
            run = run + 1 if up else 0
            longest = max(longest, run)
    return longest


def _spliced(
    plain: Corpus, rows: Sequence[int], digests: Sequence[str], rules: RecombineConfig, build: _Builder
) -> Iterator[tuple[int, Clip | Refused]]:
    """Each chosen clip is followed by the best of a few partners of its source; who they are depends on digests alone."""
    sources, lengths = plain.index["source"].to_pylist(), plain.column("frames")
    by_source: dict[str, list[int]] = {}
    for i in sorted(rows, key=lambda i: unit(rules.seed, "partner", digests[i])):
        by_source.setdefault(sources[i], []).append(i)
    for i in rows:
        if not chosen(rules.seed, "spliced", digests[i], rules.spliced_share):
            continue
        pool = by_source[sources[i]]
        start = int(unit(rules.seed, "first partner", digests[i]) * len(pool))
        tried = [pool[(start + n) % len(pool)] for n in range(min(rules.partners, len(pool)))]
        yield i, _follow(plain, i, [k for k in tried if k != i and lengths[i] + lengths[k] <= rules.max_frames], rules, build)


def _follow(plain: Corpus, i: int, partners: Sequence[int], rules: RecombineConfig, build: _Builder) -> Clip | Refused:
    first = plain.clip(i)
    seek = round(rules.seek_s * build.fps)
    found: tuple[Join, Clip] | None = None
    for k in partners:
        second = plain.clip(k)
        if second.origin == first.origin or second.licence != first.licence or not (first.present.all() and second.present.all()):
            continue
        bones = bone_lengths(first.joints), bone_lengths(second.joints)
        if float(np.abs(bones[1] / bones[0] - 1).mean()) > rules.bones_share:
            continue
        join = best_join(first.joints[:, 0].astype(np.float64), second.joints[:, 0].astype(np.float64), seek, build.fps)
        good = join.pose_m <= rules.pose_m and join.velocity_m_s <= rules.velocity_m_s
        if good and (found is None or (join.pose_m, second.id) < (found[0].pose_m, found[1].id)):
            found = join, second
    if found is None:
        return Refused("no_partner", f"none of {len(partners)} partners has a matching pose and body")
    join, second = found
    texts = spliced_texts(first, second, join.leave, join.enter, build.fps)
    if isinstance(texts, str):
        return Refused("texts", texts)
    joints = joined(first.joints[:, 0].astype(np.float64), second.joints[:, 0].astype(np.float64), join, round(rules.blend_s * build.fps))[
        :, None
    ]
    actions = np.concatenate([first.actions[: join.leave], second.actions[join.enter :]])
    source = np.maximum(first.joint_source, second.joint_source)
    seconds = (first.window_s[0], round(first.window_s[0] + len(joints) / build.fps, 6))
    extra = {"spliced_of": [first.id, second.id], "splice_frame": int(join.leave)}
    return build.clip(
        first, followed_by(second.id), joints, np.ones((len(joints), 1), bool), actions, texts, source, extra, _inherited(second), seconds
    )
