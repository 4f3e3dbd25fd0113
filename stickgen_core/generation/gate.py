"""The safety gate: the critic judges every generated motion, and says what was wrong with a rejected one."""

from dataclasses import dataclass

import numpy as np

from stickgen_core.curation.config import SafetyConfig
from stickgen_core.curation.safety import SafetyResult, evaluate_motion_safety
from stickgen_core.generation.config import GenerationConfig


@dataclass(frozen=True)
class Gate:
    """Thresholds of the generation config on the critic of the curation config."""

    config: GenerationConfig
    safety: SafetyConfig

    def judge(self, motion: np.ndarray, fps: float) -> SafetyResult:
        """The critic's result for [T, W] or [T, A, W] metres, with our rejection threshold."""
        critic = self.safety.model_copy(update={"reject_at": self.config.rejection_severity_threshold, "fps": fps})
        return evaluate_motion_safety(motion, critic)

    def reason(self, result: SafetyResult) -> str:
        """Empty if the motion may be shown, else one line."""
        if result.is_safe and result.overall_score >= self.config.min_quality_score:
            return ""
        faults = "; ".join(f"{issue.check}: {issue.detail}" for issue in result.issues) or "no single fault"
        return f"score {result.overall_score:.2f} (at least {self.config.min_quality_score:g} wanted): {faults}"
