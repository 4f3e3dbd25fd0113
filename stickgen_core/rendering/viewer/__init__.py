"""The page that plays `.motion` data: plain canvas, no network, one file."""

from stickgen_core.rendering.viewer.page import player_assets, player_fragment, viewer_html

__all__ = ["player_assets", "player_fragment", "viewer_html"]
