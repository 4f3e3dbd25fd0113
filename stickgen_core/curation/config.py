"""Every threshold of curation, with its unit; docs/curation.md gives the reasons."""

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from stickgen_core.config import Section


class ScoresConfig(Section):
    """How scores are measured. The four artefact thresholds are the documented ones, each with a unit.

    jitter_limit              variance of acceleration noise over squared mean velocity, both per frame
    jitter_velocity_floor_m_s a person slower than this is judged as if this fast: sensor noise of somebody standing is not jitter
    static_step_m             a frame is static if no joint moves farther than this to the next one
    static_limit              share of static frames
    held_actions              labels of a held posture: frames labelled so are not static ...
    held_sway_m               ... if some joint moves farther than this to the next frame: what stands still to the last bit is a dead sensor
    explosion_limit_z         excess of a joint's speed over its neighbouring frames, in standard deviations of the clip's speeds
    explosion_std_m_s         the standard deviation is held within these bounds, else calm clips explode and wild ones cannot
    repetition_limit          recurrence of the whole pose in place
    repetition_lags_frames    first and last lag
    repetition_excursion_m    a joint that leaves its place by less does not count as moving
    repetition_joints_share   share of ten joints (pelvis, head, elbows, wrists, knees, feet) that must move for the whole pose to repeat
    repetition_tolerance      error of a return, as a share of the way, at which nothing has returned
    limb_deviation_limit      standard deviation of a limb's length over its mean
    com_*                     bounds of the centre of mass
    fast_joint_m_s            no joint of a person is faster
    slide_m_s                 foot slide at which that part of the quality is a half
    contact_height_m          a foot above this height touches nothing
    camera_shake              second difference of the view, in view heights per frame squared, at which stability is a half
    min_track_frames          a shorter appearance of a person is not scored
    chunk_frames              frames scored together: fits the cache of one core
    decimals                  scores are rounded before anything is compared with them
    weights                   exponents of the parts of quality
    """

    fps: PositiveFloat = 25.0
    jitter_limit: PositiveFloat = 0.3
    jitter_velocity_floor_m_s: PositiveFloat = 0.5
    static_step_m: PositiveFloat = 0.01
    static_limit: float = Field(default=0.8, gt=0, lt=1)
    held_actions: tuple[str, ...] = ("stand", "sit", "kneel", "lie", "balance")
    held_sway_m: PositiveFloat = 0.00001
    explosion_limit_z: PositiveFloat = 3.0
    explosion_std_m_s: tuple[PositiveFloat, PositiveFloat] = (2.0, 4.0)
    repetition_limit: float = Field(default=0.7, gt=0, lt=1)
    repetition_lags_frames: tuple[PositiveInt, PositiveInt] = (5, 20)
    repetition_excursion_m: PositiveFloat = 0.05
    repetition_joints_share: float = Field(default=0.4, gt=0, le=1)
    repetition_tolerance: float = Field(default=0.3, gt=0)
    limb_deviation_limit: PositiveFloat = 0.15
    com_speed_limit_m_s: PositiveFloat = 12.0
    com_acceleration_limit_m_s2: PositiveFloat = 60.0
    com_fall_limit_m_s2: PositiveFloat = 19.6
    fast_joint_m_s: PositiveFloat = 15.0
    slide_m_s: PositiveFloat = 0.5
    contact_height_m: PositiveFloat = 0.05
    camera_shake: PositiveFloat = 0.03
    min_track_frames: PositiveInt = 5
    chunk_frames: PositiveInt = 2500
    decimals: PositiveInt = 4
    weights: dict[Literal["smoothness", "liveliness", "limbs", "physics", "feet", "completeness"], PositiveFloat] = {
        "smoothness": 0.25, "liveliness": 0.15, "limbs": 0.2, "physics": 0.2, "feet": 0.1, "completeness": 0.1,
    }  # fmt: skip


class DuplicatesConfig(Section):
    """When two clips show the same motion.

    distance_m       root mean square distance of root-centred joints at matching times
    distance_share   ... and at most this share of how far the joints move at all: idle people are not copies of each other
    time_points      poses compared, evenly spaced
    length_share     allowed difference in length
    group            look for near duplicates and put them into one split
    """

    distance_m: PositiveFloat = 0.02
    distance_share: PositiveFloat = 0.2
    time_points: PositiveInt = 8
    length_share: PositiveFloat = 0.04
    group: bool = True


class SplitsConfig(Section):
    """How origin groups are divided.

    forcing_sources   their official test ids force a group into test, whatever else is known of it
    """

    train: PositiveFloat = 0.8
    val: PositiveFloat = 0.1
    test: PositiveFloat = 0.1
    seed: int = 42
    forcing_sources: tuple[str, ...] = ("humanml3d", "kit_ml")

    @model_validator(mode="after")
    def _whole(self) -> "SplitsConfig":
        if abs(self.train + self.val + self.test - 1) > 1e-9:
            raise ValueError(f"train + val + test must be 1, found {self.train + self.val + self.test:g}")
        return self


class MergeConfig(Section):
    """Balance of the merged corpus. Caps hold within the training split; val and test are instruments and stay whole.

    max_source_fraction   of the output, per source
    seed                  of the rank that decides which clips of a source or an action stay, here and in the stages
    """

    max_source_fraction: float = Field(default=0.3, gt=0, le=1)
    seed: int = 42


class RecombineConfig(Section):
    """New clips made of training clips of captured sources: mirrored, re-timed, spliced. Off while every share is 0.

    mirrored_share, retimed_share, spliced_share   of the clips that qualify; which ones is decided by (seed, clip digest)
    generated            sources that are generated and need no recombination
    tempo                slowest and fastest re-timing, as a share of the clip's own speed
    spoken_tempo         where a caption names a speed, re-timing that keeps it true must change the speed by at least this share
    flight_frames        a clip in which nobody touches the ground for longer keeps its time: gravity cannot be re-timed
    flight_height_m      of the lower foot above which a body is in flight
    pose_m, velocity_m_s mean distance of joints, and of their velocities, at which two poses match
    bones_share          two bodies whose bones differ more, on average, are not spliced
    seek_s               a splice leaves the first clip, and enters the second, within this time of its end or start
    blend_s              over which what is left of the difference fades
    partners             clips that are tried for a splice
    min_frames, max_frames   a re-timed or spliced clip is neither shorter nor longer
    """

    mirrored_share: float = Field(default=0.0, ge=0, le=1)
    retimed_share: float = Field(default=0.0, ge=0, le=1)
    spliced_share: float = Field(default=0.0, ge=0, le=1)
    seed: int = 42
    generated: tuple[str, ...] = ("synthetic",)
    tempo: tuple[PositiveFloat, PositiveFloat] = (0.85, 1.18)
    spoken_tempo: float = Field(default=0.05, gt=0, lt=1)
    flight_frames: PositiveInt = 3
    flight_height_m: PositiveFloat = 0.12
    pose_m: PositiveFloat = 0.10
    velocity_m_s: PositiveFloat = 0.8
    bones_share: PositiveFloat = 0.03
    seek_s: PositiveFloat = 0.8
    blend_s: PositiveFloat = 0.4
    partners: PositiveInt = 24
    min_frames: PositiveInt = 25
    max_frames: PositiveInt = 500

    @property
    def on(self) -> bool:
        return max(self.mirrored_share, self.retimed_share, self.spliced_share) > 0

    @model_validator(mode="after")
    def _around_one(self) -> "RecombineConfig":
        if not self.tempo[0] <= 1 <= self.tempo[1]:
            raise ValueError(f"tempo must reach from at most 1 to at least 1, found {self.tempo[0]:g} to {self.tempo[1]:g}")
        return self


class StageConfig(Section):
    """What one training stage accepts; None switches a rule off.

    min_camera_stability    not asked of clips without a camera
    synthetic_sources_...   synthetic sources answer to max_synthetic_fraction, together, instead of max_source_fraction
    needs_text              a clip without caption or template is left out
    """

    min_quality: float = Field(ge=0, le=1)
    max_artefact: float = Field(ge=0, le=1)
    min_camera_stability: float | None = Field(default=None, ge=0, le=1)
    min_frames: NonNegativeInt = 25
    max_frames: PositiveInt = 500
    max_source_fraction: float = Field(default=0.3, gt=0, le=1)
    max_action_fraction: float | None = Field(default=None, gt=0, le=1)
    max_synthetic_fraction: float | None = Field(default=None, gt=0, le=1)
    needs_text: bool = False


class SafetyConfig(Section):
    """The safety critic: the documented checks and severities. A severity is where a check begins; it grows to 1 with the share of frames.

    reject_at                combined severity from which a motion is unsafe
    jitter_acceleration_m_s2 acceleration noise of a frame that counts as high
    repetitive_share         of the frames must lie in equal windows: three claps are no loop, a clip of nothing but claps is
    sway_s, sway_m           whose halves of a second lie less than this apart on average is a picture; the least of people who crouch is 2 mm
    noise_deviations         steps and sway that white noise of the motion's own size explains are none
    loop_error               a window repeats if it differs by less than this share of how far the points move ...
    exact_loop_error         ... or, where they move less than loop_excursion_m, by less than this; below exact_loop_excursion_m is nothing
    body_extent_m            a figure that is smaller across is no body; the smallest of the demo's 1,803 (a crouch) is 0.86 m
    segment_limits_m         longest projection of a segment; projected limbs shorten, they never grow
    """

    fps: PositiveFloat = 25.0
    reject_at: float = Field(default=0.7, gt=0, le=1)
    frozen_severity: float = 0.9
    frozen_step_m: PositiveFloat = 0.01
    frozen_share: float = 0.8
    sway_s: PositiveFloat = 0.5
    sway_m: PositiveFloat = 0.001
    noise_deviations: PositiveFloat = 5.0
    repetitive_severity: float = 0.7
    repetitive_windows: PositiveInt = 3
    repetitive_share: float = 0.5
    loop_lags_frames: tuple[PositiveInt, PositiveInt] = (5, 20)
    loop_error: PositiveFloat = 0.1
    loop_excursion_m: PositiveFloat = 0.05
    exact_loop_error: PositiveFloat = 0.02
    exact_loop_excursion_m: PositiveFloat = 0.0001
    jittery_severity: float = 0.6
    jitter_acceleration_m_s2: PositiveFloat = 25.0
    jittery_share: float = 0.3
    velocity_severity: float = 0.8
    velocity_limit_m_s: PositiveFloat = 15.0
    ground_severity: float = 0.6
    ground_limit_m: float = -0.1
    limb_severity: float = 0.7
    body_extent_m: PositiveFloat = 0.5
    segment_limits_m: dict[str, PositiveFloat] = {"head": 0.6, "torso": 0.9, "left_arm": 1.0, "right_arm": 1.0, "legs": 2.4}
    other_segments_limit_m: PositiveFloat = 0.9


class CurationConfig(Section):
    """The curation room.

    infeasible   refuse | relax: what to do where only the empty selection satisfies the caps
    """

    scores: ScoresConfig = ScoresConfig()
    duplicates: DuplicatesConfig = DuplicatesConfig()
    splits: SplitsConfig = SplitsConfig()
    merge: MergeConfig = MergeConfig()
    recombine: RecombineConfig = RecombineConfig()
    pretrain: StageConfig = StageConfig(min_quality=0.5, max_artefact=0.5)
    sft: StageConfig = StageConfig(
        min_quality=0.8, max_artefact=0.35, min_camera_stability=0.6, max_action_fraction=0.3, max_synthetic_fraction=0.4, needs_text=True
    )
    safety: SafetyConfig = SafetyConfig()
    infeasible: Literal["refuse", "relax"] = "refuse"
