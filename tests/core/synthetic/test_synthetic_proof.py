"""Every claim of every caption against the joints; and what the prover says when a caption, an order or a side is a lie."""

import json
from dataclasses import replace

import numpy as np
import pytest

from stickgen_core.skeleton.mirror import mirror_joints
from stickgen_core.sources.recording import Recording
from stickgen_core.sources.synthetic.proof import Proof, Prover
from stickgen_core.sources.synthetic.reading import Lexicon
from tests.core.synthetic.synthetic_clips import SOURCE, made

LEXICON = Lexicon(SOURCE.moves, SOURCE.words)


def proved(*clips: Recording) -> Proof:
    prover = Prover(SOURCE.moves, SOURCE.config, LEXICON, SOURCE.ids)
    for clip in clips:
        prover.check(clip)
    return prover.proof


def test_what_captions_say_is_measured_in_the_motion():
    proof = proved(*(made(i) for i in range(120)))
    assert not proof.lies
    for claim in ("side", "count", "tempo", "order", "toward", "steps", "while", "together", "camera"):
        assert proof.measured[claim] > 5, claim
    assert sum(proof.measured.values()) > 20 * sum(proof.unmeasured.values())


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(10))
def test_what_captions_say_holds_on_ten_thousand_clips(shard, record_property):
    """Ten shards of a thousand; what was measured goes into the report of the run."""
    proof = proved(*(SOURCE.clip(i) for i in range(1000 * shard, 1000 * (shard + 1))))
    record_property("measured", json.dumps(proof.measured))
    record_property("unmeasured", json.dumps(proof.unmeasured))
    record_property("captions", proof.captions)
    assert not proof.lies and proof.captions > 2_500
    assert sum(proof.measured.values()) > 25 * sum(proof.unmeasured.values())


def sequences(count: int) -> list[Recording]:
    clips = [c for c in (made(i) for i in range(250)) if c.extra["kind"] == "sequence" and not c.extra["script"]]
    return [c for c in clips if len(c.extra["people"][0]["acts"]) == 2][:count]


def test_an_order_that_was_swapped_in_the_motion_is_seen():
    seen = told = 0
    for clip in sequences(20):
        before = proved(clip)
        first, second = clip.extra["people"][0]["acts"]
        back_to_front = replace(clip, joints=clip.joints[::-1].copy())
        length = len(clip.joints) / clip.fps
        swapped = [{**first, "start": length - first["stop"], "stop": length - first["start"]},
                   {**second, "start": length - second["stop"], "stop": length - second["start"]}]  # fmt: skip
        # The second act now comes first in time; a caption that still says "first, then second" names its span as the first one's.
        early, late = sorted(swapped, key=lambda act: act["start"])
        acts = [{**first, "start": early["start"], "stop": early["stop"]}, {**second, "start": late["start"], "stop": late["stop"]}]
        lie = proved(replace(back_to_front, extra={**clip.extra, "people": [{**clip.extra["people"][0], "acts": acts}]}))
        told += before.measured["order"] > 0
        seen += any("order" in line for line in lie.lies)
    assert told >= 10 and seen >= 0.8 * told


def test_a_mirrored_motion_under_the_old_caption_is_a_lie():
    seen = total = 0
    for index in range(150):
        clip = made(index)
        if clip.extra["kind"] in ("single", "overlap") and proved(clip).measured["side"]:
            total += 1
            seen += any("side" in line or "path" in line for line in proved(replace(clip, joints=mirror_joints(clip.joints))).lies)
    assert total > 20 and seen >= 0.95 * total


def test_a_false_word_is_a_lie():
    clip = next(
        c for c in map(made, range(200)) if c.extra["kind"] == "single" and " slowly" in c.texts[0].text and proved(c).measured["tempo"]
    )
    text = replace(clip.texts[0], text=clip.texts[0].text.replace(" slowly", " quickly"))
    assert any("tempo" in line for line in proved(replace(clip, texts=(text,))).lies)


def lies_of(clip: Recording, old: str, new: str) -> list[str]:
    text = replace(clip.texts[0], text=clip.texts[0].text.replace(old, new))
    assert text != clip.texts[0]
    return proved(replace(clip, texts=(text,))).lies


def test_a_false_speed_of_a_single_stroke_is_a_lie():
    seen = 0
    for clip in map(made, range(250)):
        act = clip.extra["people"][0]["acts"][0]
        if clip.extra["kind"] != "single" or act["kind"] != "gesture" or act.get("count") != 1 or act["tempo"] == "normal":
            continue
        said, other = SOURCE.words.tempo[act["tempo"]], {"slow": "hastily", "fast": "slowly"}[act["tempo"]]
        word = next((w for w in sorted(said, key=len, reverse=True) if w in clip.texts[0].text), None)
        if word and proved(replace(clip, texts=clip.texts[:1])).measured["tempo"]:
            seen += 1
            assert any("tempo" in line for line in lies_of(clip, word, other)), clip.texts[0].text
    assert seen >= 3


def test_a_false_count_over_a_gait_or_a_seat_is_a_lie():
    clips = [c for c in map(made, range(400)) if c.extra["kind"] == "overlap" and " twice" in c.texts[0].text]
    clips = [c for c in clips if proved(replace(c, texts=c.texts[:1])).measured["count"]]
    assert len(clips) >= 2
    assert all(any("count" in line for line in lies_of(c, " twice", " four times")) for c in clips)


def test_hands_that_do_not_meet_shake_no_hands():
    clip = next(c for c in map(made, range(500)) if c.extra["script"] == "shake_hands")
    assert not proved(clip).lies
    apart = clip.joints.copy()
    apart[:, 1] += np.array([0.0, 0.0, 1.0])
    assert any("together" in line for line in proved(replace(clip, joints=apart)).lies)


@pytest.mark.parametrize(
    ("text", "moves", "claims"),
    [
        ("a man kicks with the left leg twice, then waves both hands slowly", ["kick", "wave"],
         [{"side": "left", "count": 2}, {"side": "both", "tempo": "slow"}]),
        ("She bows once after turning to the right halfway around.", ["turn", "bow"], [{"side": "right", "degrees": 180}, {"count": 1}]),
        ("walking curving to the left for six steps quickly", ["walk"], [{"path": "left", "steps": 6, "tempo": "fast"}]),
        ("someone gets up after a fall and then jumps up three times", ["fall_back", "jump"], [{}, {"count": 3}]),
    ],
)  # fmt: skip
def test_words_are_read_in_the_order_of_time(text, moves, claims):
    reading = LEXICON.read(text)
    assert all(move in {name for _, name in clause.moves} for move, clause in zip(moves, reading.clauses, strict=True))
    assert [dict(clause.claims) for clause in reading.clauses] == claims
