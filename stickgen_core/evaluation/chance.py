"""What an answer that ignores the caption scores in action accuracy: three levels, of which the highest decides.

With q the shares of the asked actions and p the shares of the actions that the motions show
    uniform       1 / classes     naming an action at random
    permuted      sum of p·q      these very motions dealt to the captions at random: exact for this row, whatever it shows
    commonest     max of q        the most that any answer without the caption can score, since p·q never exceeds it
A claim of "above chance" needs the interval above `commonest`. The permutation test answers a weaker question, whether the caption
had any influence on these motions, and is printed beside it under its own name.
"""

import numpy as np

from stickgen_core.errors import StickgenError
from stickgen_core.evaluation.intervals import Measure, not_computed
from stickgen_core.records.seeds import generator


def commonest(asked: np.ndarray) -> float:
    """Share of the commonest action among the asked ones: [N] -> float."""
    return float(np.unique(asked, return_counts=True)[1].max() / len(asked))


def permuted(asked: np.ndarray, shown: np.ndarray) -> float:
    """Expected accuracy of the shown actions over all ways of dealing them to the captions: [N], [N] -> float."""
    if len(asked) != len(shown) or not len(asked):
        raise StickgenError(f"chance: {len(asked)} asked and {len(shown)} shown actions; as many of each, at least one, are needed")
    both = np.union1d(asked, shown)
    p, q = (np.array([(side == action).mean() for action in both]) for side in (shown, asked))
    return float((p * q).sum())


def influence(asked: np.ndarray, shown: np.ndarray, *, seed: int, resamples: int) -> dict[str, Measure]:
    """The permuted level with the range of 95 % of the deals, and the one-sided p value of the accuracy that was found."""
    if not len(asked):
        missing = not_computed("not computed: no clip has an action", unit="share")
        return {"action_accuracy_permuted": missing, "action_influence_p": missing}
    draw = generator(seed, "dealt captions", len(asked))
    dealt = np.array([(asked[draw.permutation(len(asked))] == shown).mean() for _ in range(resamples)])
    expected = permuted(asked, shown)
    low, high = np.quantile(dealt, [0.025, 0.975])
    found = float((asked == shown).mean())
    p = (1 + int((dealt >= found - 1e-12).sum())) / (1 + resamples)
    return {
        "action_accuracy_permuted": Measure(expected, min(float(low), expected), max(float(high), expected), len(asked), "share", "deals"),
        "action_influence_p": Measure(p, n=len(asked), unit="p", note="one-sided, by dealing the captions at random"),
    }  # fmt: skip
