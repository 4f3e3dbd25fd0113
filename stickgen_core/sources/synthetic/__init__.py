"""Synthetic motion from composable primitives, with captions that are true of it by construction and by check."""

from stickgen_core.sources.synthetic.reader import SyntheticReader

__all__ = ["SyntheticReader"]
