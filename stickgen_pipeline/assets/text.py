"""The curated selections with the keys of their texts' vectors: what training reads."""

from functools import partial

from stickgen_core.corpus import Corpus
from stickgen_core.records.manifest import Manifest
from stickgen_core.settings import Settings
from stickgen_pipeline.assets.corpus import SPLIT_STAGES
from stickgen_pipeline.checks import COUNTS_ADD_UP, NO_LEAK, store_is_whole
from stickgen_pipeline.recipes import recipe
from stickgen_pipeline.steps import Step, Work
from stickgen_pipeline.tables import markdown, overview


def text_steps(settings: Settings) -> list[Step]:
    return [_embedded(stage, settings) for stage in SPLIT_STAGES]


def _embedded(stage: str, settings: Settings) -> Step:
    return Step(
        key=f"corpus/embedded_{stage}",
        group="corpus",
        description=f"The curated {stage} clips with text vectors of the encoder {settings.config.text.encoder}, each distinct text encoded once.",
        folder=settings.places.embedded(stage),
        version=recipe(settings, "embedded", "text"),
        make=partial(_make, stage, settings),
        parents=(f"corpus/curated_{stage}",),
        kept=f"embedded_{stage}",
        checks=(store_is_whole(settings), COUNTS_ADD_UP, NO_LEAK),
        show=lambda manifest, folder: {**overview(folder), "encoder": _encoder(manifest)},
        facts={"encoder": settings.config.text.encoder},
        kinds=frozenset({"arrow"}),
        pool="text",  # one writer of the vectors' cache; the second then finds most of its own there
        apart=True,
    )


def _make(stage: str, settings: Settings, work: Work) -> None:
    from stickgen_core.text.embed import embed

    places = settings.places
    embed(Corpus.open(places.curated(stage)), settings.config.text, places.text_vectors, work.folder, name=work.key, progress=work.progress)


def _encoder(manifest: Manifest) -> str:
    notes = manifest.notes
    card = notes["encoder"]
    rows = [*card.items(), ("width", notes["width"]), ("distinct texts", notes["distinct_texts"]), ("digest", notes["encoder_digest"])]
    return markdown(("encoder", ""), rows)
