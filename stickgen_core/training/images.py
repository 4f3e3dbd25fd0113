"""Parallax pictures as the image condition: of each clip its own views, one of them an epoch, drawn by (seed, epoch, clip).

Reads what rendering writes, folders (`sample_XXXXXX/actor_Y/metadata.json` beside its PNG frames) or packed shards. Opening reads the
metadata alone; a picture is decoded when its batch is made. A clip without pictures has no image condition.
"""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stickgen_core.corpus import Corpus
from stickgen_core.errors import ConfigError, Corrupt, MissingInput
from stickgen_core.records.digests import digest_bytes, digest_entries
from stickgen_core.records.seeds import key64
from stickgen_core.rendering.packed import PackedPicture, packed_people
from stickgen_core.rendering.parallax import METADATA
from stickgen_core.training.clips import Batch
from stickgen_core.training.config import RunConfig

if TYPE_CHECKING:
    from PIL.Image import Image as OpenedPicture

# Position and look-at target in metres, vertical field of view in radians.
VIEWPOINT_WIDTH = 7
CHANNELS = 3


@dataclass(frozen=True)
class Shot:
    """One picture on disk and the camera that made it, [7]."""

    file: Path | PackedPicture
    viewpoint: tuple[float, ...]


class ParallaxImages:
    """An image source: attaches to a batch a seeded view of each of its clips."""

    def __init__(self, shots: Mapping[str, tuple[Shot, ...]], size: tuple[int, int], backend: str, digest: str):
        self.shots, self.size, self.digest = shots, size, digest
        self._decode = DECODERS[backend]

    @classmethod
    def open(cls, run: RunConfig, corpus: Corpus, below: Path | None = None) -> "ParallaxImages":
        """The pictures of data.parallax_root that belong to clips of the corpus; one line if there are none or they show other motions.

        below   the data root that a relative data.parallax_root starts from
        """
        root = (below or Path()) / run.data.parallax_root
        if run.model.image_camera_dim != VIEWPOINT_WIDTH:
            raise ConfigError(
                f"model.image_camera_dim is {run.model.image_camera_dim}; a parallax view has {VIEWPOINT_WIDTH} camera numbers"
            )
        if not root.is_dir():
            raise MissingInput(
                f"{root}: no parallax pictures (data.parallax_root); render them or set data.use_parallax_augmentation to false"
            )
        positions = {clip_id: n for n, clip_id in enumerate(corpus.ids)}
        digests, found, read = corpus.column("digest"), dict[str, list[Shot]](), []
        folders = ((path, path.read_bytes(), None) for path in sorted(root.glob(f"sample_*/actor_*/{METADATA}")))
        for path, data, pictures in chain(folders, packed_people(root)):
            clip_id, clip_digest, shots = _metadata(path, data, pictures)
            if clip_id not in positions:
                continue
            place = positions[clip_id]
            if clip_digest != digests[place] and clip_digest != corpus.clip(place).digest():
                raise Corrupt(f"{path}: drawn from another version of clip {clip_id}; render the parallax pictures again")
            found.setdefault(clip_id, []).extend(shots)
            read.append((path.relative_to(root).as_posix(), digest_bytes(data)))
        if not found:
            raise MissingInput(
                f"{root}: no picture of any of the {len(corpus)} clips of {corpus.manifest.name}; render them from this corpus"
            )
        digest = digest_entries("parallax.v1", read)
        return cls(
            {clip_id: tuple(shots) for clip_id, shots in found.items()}, run.data.parallax_image_size, run.data.image_backend, digest
        )

    def shot(self, clip_id: str, seed: int, epoch: int) -> Shot | None:
        """The view of a clip in an epoch, or None where nothing was drawn of it."""
        views = self.shots.get(clip_id, ())
        return views[key64(seed, "parallax view", epoch, clip_id) % len(views)] if views else None

    def attached(self, batch: Batch, seed: int, epoch: int) -> Batch:
        """The batch with image [B,3,H,W] in -1..1, viewpoint [B,7] and has_image [B]; unchanged if none of its clips has a picture."""
        shots = [self.shot(clip_id, seed, epoch) for clip_id in batch.clip_ids]
        if not any(shots):
            return batch
        image = np.zeros((len(shots), CHANNELS, *self.size), np.float32)
        viewpoint = np.zeros((len(shots), VIEWPOINT_WIDTH), np.float32)
        for n, shot in enumerate(shots):
            if shot is not None:
                image[n], viewpoint[n] = self._decode(shot.file, self.size), shot.viewpoint
        has = torch.tensor([shot is not None for shot in shots])
        return replace(batch, image=torch.from_numpy(image), viewpoint=torch.from_numpy(viewpoint), has_image=has)


def _metadata(path: Path, data: bytes, packed: Mapping[str, PackedPicture] | None) -> tuple[str, str, list[Shot]]:
    """(clip id, clip digest, shots) of one person's folder, or of a row of a shard; file names stay inside the folder."""
    try:
        value = json.loads(data)
        shots = [_shot(path.parent, frame, packed) for frame in value["frames"]]
        return str(value["clip_id"]), str(value["clip_digest"]), shots
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(f"{path}: not parallax metadata ({error!r}); remove its folder and render again") from None


def _shot(folder: Path, frame: Mapping[str, Any], packed: Mapping[str, PackedPicture] | None) -> Shot:
    name, camera = frame["file"], frame["camera"]
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not a name in its folder")
    viewpoint = viewpoint_of(camera["position_m"], camera["target_m"], camera["fov_deg"])
    if len(viewpoint) != VIEWPOINT_WIDTH or not np.isfinite(viewpoint).all():
        raise ValueError(f"the camera of {name} is not {VIEWPOINT_WIDTH} finite numbers")
    return Shot(folder / name if packed is None else packed[name], viewpoint)


def viewpoint_of(position_m: Iterable[float], target_m: Iterable[float], fov_deg: float) -> tuple[float, ...]:
    """The camera's numbers as the model reads them."""
    return (*map(float, position_m), *map(float, target_m), float(np.deg2rad(fov_deg)))


def _pillow(file: Path | PackedPicture, size: tuple[int, int]) -> np.ndarray:
    """A PNG over white as [3,H,W] float32 in -1..1, `size` is (height, width)."""
    from PIL import Image

    try:
        with Image.open(file if isinstance(file, Path) else io.BytesIO(file.read())) as picture:
            return picture_pixels(picture, size)
    except FileNotFoundError:
        raise MissingInput(f"{file}: named in {METADATA}, but not there; render the parallax pictures again") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Corrupt(f"{file}: not a readable picture ({error}); remove it and render again") from None


def picture_pixels(picture: "OpenedPicture", size: tuple[int, int]) -> np.ndarray:
    """An opened picture over white, scaled to (height, width): [3,H,W] float32 in -1..1."""
    from PIL import Image

    drawn = picture.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert("RGB")
    height, width = size
    pixels = np.asarray(flat.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    return np.moveaxis(pixels / 127.5 - 1.0, -1, 0)


# data.image_backend -> what decodes a file.
DECODERS: Mapping[str, Callable[[Path | PackedPicture, tuple[int, int]], np.ndarray]] = {"pil": _pillow}
