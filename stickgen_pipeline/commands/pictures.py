"""`stickgen render`, `view` and `report`: motion as pictures and pages."""

import argparse
from pathlib import Path

from stickgen_core.corpus import Corpus
from stickgen_core.errors import MissingInput, StickgenError
from stickgen_core.records.publish import publish_text
from stickgen_core.rendering import Scene, scene_of_clip
from stickgen_core.settings import Settings
from stickgen_core.sources.actions import load_actions
from stickgen_pipeline.commands.common import answer, corpus_folder, settings_of, size


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


def write_scene(scene: Scene, path: Path, settings: Settings) -> Path:
    """The scene in the form that the file's name asks for."""
    from stickgen_core.rendering import bvh, gltf, media, motionfile, pictures
    from stickgen_core.rendering.styles import STYLES

    config = settings.config.rendering
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = pictures.frames_of(scene, config)
    if path.suffix == ".mp4":
        media.write_mp4(path, frames, scene.fps, config.video)
    elif path.suffix == ".gif":
        media.write_gif(path, frames, scene.fps, config.video)
    elif path.suffix == ".png":
        media.write_png(path, pictures.strip(scene, config, (config.wide_px, config.height_px // 2), 6))
    elif path.suffix == ".svg":
        media.write_svg(path, pictures.scene_strokes(scene, config), scene.frames // 2, STYLES[config.style], scene.caption_at(0.0))
    elif path.suffix == ".motion":
        motionfile.write_motion(path, scene, config)
    elif path.suffix == ".bvh":
        publish_text(path, bvh.bvh_text(scene))
    elif path.suffix == ".gltf":
        publish_text(path, gltf.gltf_text(scene))
    elif path.suffix == ".html":
        from stickgen_core.rendering.viewer.page import viewer_html

        publish_text(path, viewer_html([scene], scene.id, config=config))
    else:
        raise StickgenError(f"{path}: expected .mp4, .gif, .png, .svg, .motion, .bvh, .gltf or .html")
    return path


def render(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    scene = scene_of(settings, options.what)
    default = f"{Path(options.what).stem if options.what.endswith('.motion') else scene.id.replace('/', '_').replace('#', '_')}.mp4"
    path = write_scene(scene, Path(options.output or default), settings)
    return answer(options, {"path": str(path), "bytes": path.stat().st_size}, f"{path} ({size(path.stat().st_size)})")


def view(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    path = write_scene(scene_of(settings, options.motion), Path(options.output or f"{Path(options.motion).stem}.html"), settings)
    return answer(options, {"path": str(path)}, f"{path}: open it in a browser")


def report(options: argparse.Namespace) -> int:
    """Where the pages are."""
    settings = settings_of(options)
    pages = {page.parent.name: page for page in sorted(settings.places.evaluations.glob("*/*.html"))}
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


def contact_sheet(settings: Settings, corpus: Corpus, count: int, path: Path) -> Path:
    """Clips spread evenly over a corpus, a strip each."""
    from stickgen_core.rendering import media, pictures

    if not len(corpus):
        raise MissingInput(f"{corpus.folder}: 0 clips, nothing to show")
    names = [action.name for action in load_actions().rows]
    chosen = sorted({round(i * (len(corpus) - 1) / max(count - 1, 1)) for i in range(count)})
    scenes = [scene_of_clip(corpus.clip(i), settings.config.canonical.fps, names) for i in chosen]
    media.write_png(path, pictures.contact_sheet(scenes, settings.config.rendering))
    return path
