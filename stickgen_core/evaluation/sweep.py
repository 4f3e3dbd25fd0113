"""What guidance and step count do to a checkpoint's numbers, measured on val so that nothing is picked on what is judged."""

from typing import Any

from stickgen_core.corpus import Corpus
from stickgen_core.evaluation.config import EvaluationConfig
from stickgen_core.evaluation.items import Progress, choose, read_items
from stickgen_core.evaluation.judge import Judge
from stickgen_core.evaluation.sampling import Sampler

SHOWN = ("r_precision_text_to_motion_3", "action_accuracy", "kid", "energy_ratio", "jerk_ratio")


def sweep(sampler: Sampler, judge: Judge, corpus: Corpus, config: EvaluationConfig, name: str, progress: Progress = None) -> dict[str, Any]:
    """Points of the sweep, each with its setting and measures; without points the note says why."""
    wanted = config.sweep
    if not wanted.samples:
        return {"points": [], "note": "not swept in this run (evaluation.sweep.samples is 0)"}
    if wanted.checkpoints and name not in wanted.checkpoints:
        return {"points": [], "note": f"not swept: evaluation.sweep.checkpoints names {', '.join(wanted.checkpoints)}"}
    rows = choose(corpus, wanted.split, wanted.samples, config.seed)
    items = read_items(corpus, rows, config.seed).cut(sampler.run.data.max_frames)
    own = (sampler.settings.guidance, sampler.settings.diffusion_steps)
    plan = [("guidance", float(guidance), own[1]) for guidance in wanted.guidance]
    plan += [("steps", own[0], int(steps)) for steps in wanted.steps]
    points, seen = [], {}
    for done, (kind, guidance, steps) in enumerate(plan):
        if (guidance, steps) not in seen:
            drawn = sampler.with_settings(guidance=guidance, diffusion_steps=steps).draw(items)
            measured = judge.measure(drawn)
            seen[guidance, steps] = {key: measured[key].as_json() for key in SHOWN}
        points.append({"varied": kind, "guidance": guidance, "steps": steps, "measures": seen[guidance, steps]})
        if progress:
            progress("sweep of guidance and steps", done + 1, len(plan))
    return {"points": points, "note": "", "split": wanted.split, "n": len(items), "own": {"guidance": own[0], "steps": own[1]}}
