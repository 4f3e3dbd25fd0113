"""The page that plays `.motion` data: plain canvas, no network, one file."""

from stickgen_core.rendering.viewer.page import drawing_tables, player_assets, player_fragment, player_script, viewer_html

__all__ = ["drawing_tables", "player_assets", "player_fragment", "player_script", "viewer_html"]
