"""The service without a network: an order is checked, queued, generated, drawn, kept. HTTP and serverless are thin fronts of this."""

import json
import secrets
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stickgen_core.errors import StickgenError
from stickgen_core.generation.generator import Generated, Generator
from stickgen_core.generation.service.jobs import Job, Jobs, Report
from stickgen_core.generation.service.metrics import Metrics, resident_bytes
from stickgen_core.generation.service.refusal import Refusal
from stickgen_core.generation.service.wire import GenerateBody
from stickgen_core.rendering import RenderingConfig, Scene
from stickgen_core.rendering.media import write_mp4
from stickgen_core.rendering.motionfile import motion_text, scene_of_document
from stickgen_core.rendering.pictures import frames_of


@dataclass(frozen=True)
class Answer:
    """What was generated: a `.motion` text and a summary a prompt, and the MP4 where one was asked for."""

    motions: tuple[str, ...]
    summaries: tuple[dict[str, Any], ...]
    video: bytes = b""

    @property
    def size(self) -> int:
        return len(self.video) + sum(map(len, self.motions))


@dataclass
class Service:
    """A loaded generator behind a queue. `generator` is always a trained checkpoint's: there is no other way to make one here."""

    generator: Generator
    rendering: RenderingConfig
    action_names: tuple[str, ...]
    started: float = field(default_factory=time.time)

    def __post_init__(self) -> None:
        self.config = self.generator.config.service
        self.metrics = Metrics()
        self.jobs = Jobs(
            self.config.queue, self.config.keep_jobs, self.config.keep_mb * 1e6, retry_after_s=self.config.retry_after_s,
            size_of=lambda result: result.size if isinstance(result, Answer) else 0, finished=self.metrics.job,
        )  # fmt: skip

    def submit(self, body: GenerateBody) -> Job:
        """Check against every bound, then queue; raises a Refusal."""
        if body.format != "json" and len(body.prompts) != 1:
            raise Refusal(422, "invalid", f"format {body.format}: is the file of one motion; give one prompt, or ask for json")
        request = body.request(self.action_names)
        try:
            self.generator.plans(request)
        except StickgenError as error:
            raise Refusal(422, "invalid", str(error)) from None

        def work(report: Report) -> Answer:
            try:
                found = self.generator.generate(request, report)
            except StickgenError as error:
                raise Refusal(422, "refused", str(error)) from None
            for result in found:
                self.metrics.count("motions", verdict="accepted" if result.accepted else "rejected")
            scenes = [self.generator.scene(result, self.action_names) for result in found]
            video = self._video(scenes[0], body.style, report) if body.format == "mp4" else b""
            texts = tuple(motion_text(scene, self.rendering) for scene in scenes)
            return Answer(texts, tuple(self._summary(result) for result in found), video)

        return self.jobs.submit(secrets.token_hex(8), work, self.config.timeout_s)

    def submit_video(self, job: Job, number: int) -> Job:
        """The MP4 of a kept result, through the same queue."""
        text = self.motion(job, number)

        def work(report: Report) -> Answer:
            return Answer((), (), self._video(scene_of_document(json.loads(text)), None, report))

        return self.jobs.submit(secrets.token_hex(8), work, self.config.timeout_s)

    def motion(self, job: Job, number: int) -> str:
        answer = self.finished(job)
        if not 0 <= number < len(answer.motions):
            raise Refusal(404, "unknown_motion", f"this job has {len(answer.motions)} motions, counted from 0")
        return answer.motions[number]

    def finished(self, job: Job) -> Answer:
        """The answer of a job that is done; raises what it ended with otherwise."""
        if not job.outcome.done():
            raise Refusal(409, "not_done", "this job is not done yet")
        return job.outcome.result()

    def status(self, job: Job) -> dict[str, Any]:
        label, done, total = job.progress
        return {"id": job.id, "state": job.state, "ahead": self.jobs.ahead_of(job), "doing": label, "done": done, "total": total}

    def result(self, job: Job) -> dict[str, Any]:
        """The JSON answer: every motion with what the gate said of it and where its files are."""
        answer = self.finished(job)
        results = []
        for number, (summary, motion) in enumerate(zip(answer.summaries, answer.motions, strict=True)):
            links = {kind: f"/v1/jobs/{job.id}/{number}.{kind}" for kind in ("motion", "mp4")}
            results.append({**summary, "links": links, "motion": json.loads(motion)})
        return {"id": job.id, "model": self.model(), "results": results}

    def model(self) -> dict[str, Any]:
        """Which checkpoint answers."""
        generator = self.generator
        return {"name": generator.run.name, "checkpoint": generator.digest, "text_encoder": generator.encoder.card.name, "fps": generator.fps,
                "multimodal": generator.limits.multimodal}  # fmt: skip

    def limits(self) -> dict[str, Any]:
        """Every bound that a request is held against."""
        config, can = self.generator.config, self.generator.limits
        return {
            "prompts": config.max_batch, "prompt_chars": config.max_text_chars, "seconds": [config.min_seconds, min(config.max_seconds, can.frames / can.fps)],
            "timed_seconds": config.max_seconds, "actors": min(config.max_actors, can.actors), "diffusion_steps": config.max_diffusion_steps,
            "guidance": config.max_guidance, "image_kb": config.max_image_kb, "image_px": config.max_image_px,
            "body_kb": self.config.max_body_kb, "timeout_s": self.config.timeout_s, "queue": self.config.queue,
        }  # fmt: skip

    def health(self) -> dict[str, Any]:
        alive = not self.jobs.closed
        return {"status": "ready" if alive else "closing", "model": self.model(), "waiting": self.jobs.waiting,
                "uptime_s": round(time.time() - self.started, 1)}  # fmt: skip

    def gauges(self) -> dict[str, float]:
        return {"jobs_waiting": self.jobs.waiting, "resident_bytes": resident_bytes(), "uptime_seconds": time.time() - self.started}

    def close(self) -> None:
        self.jobs.close()

    def _video(self, scene: Scene, style: str | None, report: Report) -> bytes:
        def told() -> Any:
            for number, frame in enumerate(frames_of(scene, self.rendering, style=style, use_camera=True)):
                report("video", number, scene.frames)
                yield frame

        with tempfile.TemporaryDirectory(prefix="stickgen-") as folder:
            path = Path(folder) / "motion.mp4"
            write_mp4(path, told(), scene.fps, self.rendering.video)
            return path.read_bytes()

    def _summary(self, result: Generated) -> dict[str, Any]:
        return {
            "prompt": result.prompt, "seed": result.seed, "frames": len(result.motion), "seconds": len(result.motion) / result.fps,
            "accepted": result.accepted, "reason": result.reason, "attempts": result.attempts, "preview": result.preview,
            "score": None if result.safety is None else result.safety.overall_score,
        }  # fmt: skip


def names_of(rows: Sequence[Any]) -> tuple[str, ...]:
    """Action names in the order of their ids."""
    return tuple(row.name for row in rows)
