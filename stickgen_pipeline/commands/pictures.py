"""`stickgen render`, `view`, `export` and `report`: motion as pictures, pages and files."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.records.publish import publish_text
from stickgen_core.rendering import Scene, scene_of_clip
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_pipeline.commands.common import answer, corpus_folder, settings_of, size

# Pictures of one clip beside each other in a PNG.
STRIP_MOMENTS = 6


def scene_of(settings: Settings, what: str) -> Scene:
    """A .motion file, or CORPUS:CLIP."""
    from stickgen_core.rendering.motionfile import read_motion

    if what.endswith(".motion"):
        return read_motion(Path(what))
    name, colon, clip = what.partition(":")
    if not colon:
        raise StickgenError(f"{what}: expected a .motion file or CORPUS:CLIP, for instance corpus/merged:synthetic/000012#0")
    corpus = Corpus.open(corpus_folder(settings, name))
    found = corpus.clip(corpus.position(clip))
    return scene_of_clip(found, settings.config.canonical.fps, [action.name for action in load_actions().rows])


def write_scene(scene: Scene, path: Path, settings: Settings, *, style: str | None = None, three_d: bool = False, use_camera: bool = True,
                azimuth_deg: float | np.ndarray | None = None) -> Path:  # fmt: skip
    """The scene in the form that the file's name asks for."""
    from stickgen_core.rendering import media, pictures
    from stickgen_core.rendering.styles import STYLES

    config = settings.config.rendering
    options: dict[str, Any] = {"style": style, "three_d": three_d, "use_camera": use_camera, "azimuth_deg": azimuth_deg}
    if path.suffix in (".mp4", ".gif"):
        frames = pictures.frames_of(scene, config, **options)
        write_frames(path, frames, scene.fps, settings)
    elif path.suffix == ".png":
        media.write_png(path, pictures.strip(scene, config, (config.wide_px, config.height_px // 2), STRIP_MOMENTS, **options))
    elif path.suffix == ".svg":
        drawn = pictures.scene_strokes(scene, config, **options)
        media.write_svg(path, drawn, scene.frames // 2, STYLES[style or config.style], scene.caption_at(scene.seconds / 2))
    else:
        export_scene(scene, path, settings)
    return path


def write_frames(path: Path, frames: Iterator[np.ndarray], fps: float, settings: Settings) -> None:
    """A moving picture as the suffix says."""
    from stickgen_core.rendering import media

    write = media.write_mp4 if path.suffix == ".mp4" else media.write_gif
    write(path, frames, fps, settings.config.rendering.video)


def export_scene(scene: Scene, path: Path, settings: Settings, actor: int = 0) -> Path:
    """The scene as data: `.motion`, BVH, glTF or a page that plays it."""
    from stickgen_core.rendering import bvh, gltf, motionfile
    from stickgen_core.rendering.viewer.page import viewer_html

    config = settings.config.rendering
    if path.suffix == ".motion":
        motionfile.write_motion(path, scene, config)
    elif path.suffix == ".bvh":
        publish_text(path, bvh.bvh_text(scene, actor))
    elif path.suffix == ".gltf":
        publish_text(path, gltf.gltf_text(scene, actor))
    elif path.suffix == ".html":
        publish_text(path, viewer_html([scene], scene.id, config=config))
    else:
        raise StickgenError(f"{path}: expected .mp4, .gif, .png, .svg, .motion, .bvh, .gltf or .html")
    return path


def render(options: argparse.Namespace) -> int:
    """One motion, or several side by side, as a picture or a video."""
    settings = settings_of(options)
    scenes = [scene_of(settings, what) for what in options.what]
    path = Path(options.output or f"{_file_name(options.what[0], scenes[0])}.mp4")
    azimuth = options.azimuth
    if options.orbit:
        start = settings.config.rendering.azimuth_deg if azimuth is None else azimuth
        azimuth = start + options.orbit * np.linspace(0, 1, scenes[0].frames)
    look: dict[str, Any] = {"style": options.style, "three_d": options.three_d, "use_camera": not options.no_camera, "azimuth_deg": azimuth}
    if len(scenes) == 1:
        write_scene(scenes[0], path, settings, **look)
    else:
        _write_together(scenes, path, settings, look, options.orbit)
    return answer(options, {"path": str(path), "bytes": path.stat().st_size}, f"{path} ({size(path.stat().st_size)})")


def _write_together(scenes: list[Scene], path: Path, settings: Settings, look: dict[str, Any], orbit: float | None) -> None:
    from stickgen_core.rendering import media, pictures

    if path.suffix in (".mp4", ".gif"):
        if orbit:
            raise StickgenError("--orbit turns one motion; leave it out to see several side by side")
        write_frames(path, pictures.side_by_side(scenes, settings.config.rendering, **look), scenes[0].fps, settings)
    elif path.suffix == ".png":
        media.write_png(path, pictures.contact_sheet(scenes, settings.config.rendering, **look))
    else:
        raise StickgenError(f"{path}: several motions together are an .mp4, a .gif or a .png")


def view(options: argparse.Namespace) -> int:
    """A page that plays the motions: one, two side by side, or as many as one likes to choose from."""
    from stickgen_core.rendering.viewer.page import viewer_html

    settings = settings_of(options)
    scenes = [scene_of(settings, what) for what in options.motion]
    path = Path(options.output or f"{_file_name(options.motion[0], scenes[0])}.html")
    publish_text(path, viewer_html(scenes, options.title or scenes[0].id, config=settings.config.rendering))
    if options.open:
        import webbrowser

        webbrowser.open(path.absolute().as_uri())
    return answer(options, {"path": str(path), "motions": len(scenes)}, f"{path}: open it in a browser")


def export(options: argparse.Namespace) -> int:
    """One motion as the file that its name asks for, or a whole corpus as a folder of `.motion` files."""
    settings = settings_of(options)
    if options.what.endswith(".motion") or ":" in options.what:
        scene = scene_of(settings, options.what)
        path = Path(options.output or f"{_file_name(options.what, scene)}.motion")
        export_scene(scene, path, settings, options.actor)
        return answer(options, {"path": str(path), "bytes": path.stat().st_size}, f"{path} ({size(path.stat().st_size)})")
    corpus = Corpus.open(corpus_folder(settings, options.what))
    folder = Path(options.output or settings.places.motions(options.what.replace("/", "_")))
    names, total = [action.name for action in load_actions().rows], 0
    rows = range(len(corpus)) if options.limit is None else range(min(options.limit, len(corpus)))
    for row in rows:
        scene = scene_of_clip(corpus.clip(row), settings.config.canonical.fps, names)
        path = export_scene(scene, folder / f"{_plain(scene.id)}.motion", settings)
        total += path.stat().st_size
    return answer(options, {"path": str(folder), "files": len(rows), "bytes": total}, f"{folder}: {len(rows)} files ({size(total)})")


def _file_name(what: str, scene: Scene) -> str:
    return Path(what).stem if what.endswith(".motion") else _plain(scene.id)


def _plain(name: str) -> str:
    """An id as a file name: nothing in it can leave the folder."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def report(options: argparse.Namespace) -> int:
    """Where the pages are."""
    settings = settings_of(options)
    pages = {page.parent.name: page for page in sorted(settings.places.evaluations.glob("*/*.html"))}
    pages |= {document.stem: document for document in sorted(settings.places.reports.glob("*.pdf"))}
    if not pages:
        raise MissingInput(f"{settings.places.evaluations}: no report yet; run `stickgen build`")
    if options.name:
        wanted = options.name.removesuffix("_report")
        if wanted not in pages:
            raise MissingInput(f"no report {options.name!r}; there are {', '.join(pages)}")
        pages = {wanted: pages[wanted]}
    if options.open:
        import webbrowser

        webbrowser.open(pages.get("release", next(iter(pages.values()))).as_uri())
    return answer(
        options, {name: str(page) for name, page in pages.items()}, "\n".join(f"{name:20}  {page}" for name, page in pages.items())
    )
