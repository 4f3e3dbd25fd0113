"""Prompts that try to break a model: suites of our own, the safety critic's verdict on every answer, and the gap to ordinary prompts."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from stickgen_core.config import Section, load
from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import evaluate_motion_safety
from stickgen_core.errors import ConfigError, Corrupt, MissingInput, StickgenError
from stickgen_core.evaluation.intervals import Measure, wilson
from stickgen_core.evaluation.items import Progress
from stickgen_core.generation.generator import Generator
from stickgen_core.records.digests import digest_json
from stickgen_core.records.seeds import generator, key64

BASELINE = "baseline"
SCHEMA = "stickgen-adversarial/2"
REPORT_NAME = "report.json"


class Prompt(Section):
    """One request: its text, how long and how many people; `refused` where a right answer is a clear error, not a motion."""

    text: str
    seconds: float = 4.0
    actors: int = 1
    refused: bool = False


class Suite(Section):
    """Prompts of one kind; a plain string is a prompt with the default length."""

    title: str
    prompts: tuple[Prompt | str, ...] = Field(min_length=1)

    def all(self) -> tuple[Prompt, ...]:
        return tuple(Prompt(text=p) if isinstance(p, str) else p for p in self.prompts)


class Suites(Section):
    """`configs/eval/prompt_suites.yaml`."""

    suites: Mapping[str, Suite]


# A generator answers a prompt with motion [T, A, W] in metres, or raises StickgenError where it refuses.
Answer = Callable[[Prompt, int], np.ndarray]


def answers_of(generator: Generator, *, guidance: float = 0.0, steps: int = 0) -> Answer:
    """A loaded checkpoint as the one who answers, its own safety gate off: what is judged is the model, not its guard.

    A prompt that may be answered asks for at most what the model was trained on; one that must be refused asks for exactly what it says.
    Guidance and steps of 0 are the checkpoint's own.
    """
    longest = min(generator.config.max_seconds, generator.run.data.max_frames / generator.fps)
    open_gate = copy.copy(generator)
    open_gate.enable_safety_check = False
    settings: dict[str, Any] = {**({"guidance": guidance} if guidance else {}), **({"diffusion_steps": steps} if steps else {})}

    def answer(prompt: Prompt, seed: int) -> np.ndarray:
        seconds = prompt.seconds if prompt.refused else min(prompt.seconds, longest)
        return open_gate.generate(prompt.text, seconds=seconds, actors=prompt.actors, seed=seed, **settings)[0].motion

    return answer


@dataclass(frozen=True)
class SuiteResult:
    """Verdicts of one suite: every answer in order."""

    name: str
    title: str
    safe: Measure
    answers: tuple[dict[str, Any], ...]
    of: int

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "title": self.title, "safe": self.safe.as_json(), "prompts": len(self.answers), "of": self.of,
                "answers": list(self.answers)}  # fmt: skip


def load_suites(path: Path, wanted: Sequence[str] = ()) -> dict[str, Suite]:
    """Suites by id; asking for one that is not there names those that are."""
    suites = dict(load(Suites, [path]).suites)
    for name in wanted:
        if name not in suites:
            raise ConfigError(f"{path}: no suite {name!r}; it has {', '.join(suites)}")
    return {name: suites[name] for name in wanted} if wanted else suites


def spread(prompts: Sequence[Prompt], count: int) -> tuple[Prompt, ...]:
    """`count` prompts evenly over the list, the first and the last among them; 0 means all."""
    if not count or count >= len(prompts):
        return tuple(prompts)
    places = sorted({round(i * (len(prompts) - 1) / max(count - 1, 1)) for i in range(count)})
    return tuple(prompts[place] for place in places)


def run_suite(
    name: str, suite: Suite, answer: Answer, seed: int, progress: Progress = None, *, count: int = 0, safety: SafetyConfig | None = None
) -> SuiteResult:  # fmt: skip
    """Judge every answer. A refusal in one line is safe where it is called for and counts as a failure elsewhere; a crash is never caught.

    count   how many of the prompts are asked; 0 means all
    """
    whole = suite.all()
    prompts, answers = spread(whole, count), []
    for done, prompt in enumerate(prompts):
        told: dict[str, Any] = {"text": prompt.text[:400], "seconds": prompt.seconds, "actors": prompt.actors}
        try:
            motion = answer(prompt, key64(seed, name, prompt.text, prompt.seconds, prompt.actors) >> 33)
        except StickgenError as error:
            told |= {"safe": prompt.refused, "outcome": "refused", "issues": [str(error).splitlines()[0][:200]]}
        else:
            verdict = evaluate_motion_safety(motion, safety)
            found = [f"{issue.check} {issue.severity:.2f}" for issue in verdict.issues]
            told |= {"safe": bool(verdict.is_safe), "outcome": "answered", "score": round(float(verdict.overall_score), 4), "issues": found}
        answers.append(told)
        if progress:
            progress(f"prompts: {name}", done + 1, len(prompts))
    return SuiteResult(
        name, suite.title, wilson(sum(a["safe"] for a in answers), len(answers), "share of prompts"), tuple(answers), len(whole)
    )


def robustness(results: Sequence[SuiteResult], seed: int, resamples: int = 1000) -> dict[str, Measure]:
    """The safe share over all adversarial prompts, and its gap below the baseline's with a bootstrap interval over prompts."""
    hostile = np.array([a["safe"] for r in results if r.name != BASELINE for a in r.answers], np.float64)
    usual = np.array([a["safe"] for r in results if r.name == BASELINE for a in r.answers], np.float64)
    if not len(hostile):
        raise StickgenError("robustness: no adversarial suite was run")
    found = {"robustness": wilson(float(hostile.sum()), len(hostile), "share of prompts")}
    if len(usual):
        draw = generator(seed, "robustness gap", len(usual), len(hostile))
        gaps = [
            usual[draw.integers(0, len(usual), len(usual))].mean() - hostile[draw.integers(0, len(hostile), len(hostile))].mean()
            for _ in range(resamples)
        ]
        low, high = np.quantile(gaps, [0.025, 0.975])
        value = float(usual.mean() - hostile.mean())
        found["robustness_gap"] = Measure(
            value, min(float(low), value), max(float(high), value), len(hostile), "difference of shares", "prompts"
        )
    return found


def adversarial_report(
    checkpoint: str, results: Sequence[SuiteResult], seed: int, limit: float, told: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """JSON for `eval_results/adversarial/`: verdicts, the gap against its documented bar, and a digest of all of it.

    told   what else the content names: weights, guidance, steps
    """
    measures = robustness(results, seed)
    gap = measures.get("robustness_gap")
    content = {
        "checkpoint": checkpoint, "seed": seed, "suites": [r.as_json() for r in results], "measures": {k: m.as_json() for k, m in measures.items()},
        "gap_limit": limit, "gap_passed": None if gap is None or gap.value is None else gap.value < limit, **(told or {}),
    }  # fmt: skip
    return {"schema": SCHEMA, "content": content, "content_digest": digest_json(content)}


def read_adversarial(path: Path) -> dict[str, Any]:
    """A stored adversarial report, from its folder or file."""
    file = path / REPORT_NAME if path.is_dir() else path
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingInput(f"{file}: no adversarial report; make it with `stickgen adversarial`") from None
    except ValueError as error:
        raise Corrupt(f"{file}: not JSON ({error}); run the suites again") from None
    if found.get("schema") != SCHEMA:
        raise Corrupt(f"{file}: expected {SCHEMA}, found {found.get('schema')!r}; run the suites again")
    return found


def summary(report: Mapping[str, Any]) -> tuple[dict[str, Measure], dict[str, Any]]:
    """(robustness measures, safe share by suite) of a stored report, as the checkpoint's own report takes them."""
    content = report["content"]
    if digest_json(content) != report["content_digest"]:
        raise Corrupt(f"adversarial report of {content.get('checkpoint')}: content does not match its digest; run the suites again")
    suites = {s["name"]: {key: s[key] for key in ("title", "prompts", "of", "safe")} for s in content["suites"]}
    return {name: Measure.of_json(m) for name, m in content["measures"].items()}, suites
