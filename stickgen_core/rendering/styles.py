"""The four looks of a stick figure: colours, and what each does to a stroke."""

from dataclasses import dataclass

RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Style:
    """inks are (middle, left, right) by actor; wobble is in parts of a stroke's width; taper is the far end's width by the near end's."""

    background: RGB
    ground: RGB
    skin: RGB
    caption: RGB
    inks: tuple[tuple[RGB, RGB, RGB], ...]
    width: float = 1.0
    taper: float = 1.0
    wobble: float = 0.0
    passes: int = 1
    glow: bool = False

    def ink(self, actor: int, side: str) -> RGB:
        return self.inks[actor % len(self.inks)][("middle", "left", "right").index(side)]


_NORMAL = (
    ((38, 50, 56), (21, 101, 192), (198, 40, 40)),
    ((62, 39, 35), (0, 121, 107), (239, 108, 0)),
    ((49, 27, 146), (104, 58, 183), (173, 20, 87)),
    ((27, 94, 32), (85, 139, 47), (0, 131, 143)),
)
_BLACK = (((20, 20, 20),) * 3, ((70, 70, 70),) * 3, ((110, 110, 110),) * 3)
_PENCIL = (((60, 60, 66), (74, 82, 100), (96, 74, 70)), ((90, 70, 50), (70, 96, 80), (110, 80, 60)))
_NEON = (
    ((120, 255, 240), (90, 170, 255), (255, 90, 200)),
    ((255, 240, 110), (140, 255, 120), (255, 150, 80)),
    ((220, 160, 255), (160, 140, 255), (255, 130, 160)),
)

STYLES: dict[str, Style] = {
    "normal": Style((255, 255, 255), (214, 219, 224), (255, 248, 240), (33, 37, 41), _NORMAL),
    "sketch": Style((250, 247, 238), (214, 206, 190), (250, 247, 238), (70, 66, 60), _PENCIL, width=0.42, wobble=0.35, passes=3),
    "ink": Style((255, 255, 255), (200, 200, 200), (255, 255, 255), (20, 20, 20), _BLACK, width=1.45, taper=0.45),
    "neon": Style((12, 10, 26), (52, 44, 92), (20, 18, 40), (200, 240, 255), _NEON, width=0.7, glow=True),
}
