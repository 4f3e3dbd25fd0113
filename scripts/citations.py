"""Write CITATION.cff and CITATIONS.md from the registry of data sets, which is the one place where they are kept."""

from pathlib import Path

from stickgen_core import __version__
from stickgen_core.records.citations import citation_cff, citations_page
from stickgen_core.sources.registry import load_registry
from stickgen_pipeline.commands.provenance import OWN, data_set

ROOT = Path(__file__).resolve().parent.parent
TITLE = "Stickgen: a text-to-motion research release that rebuilds itself"
ABSTRACT = "Raw motion capture to canonical stick-figure clips, curated corpora, nine checkpoints and reports; every number traceable to raw bytes."


def pages() -> dict[str, str]:
    """File name -> what it must hold."""
    sets = [data_set(spec.model_dump(mode="json")) for spec in load_registry(ROOT / "configs" / "datasets").values()]
    return {"CITATION.cff": citation_cff(sets, TITLE, __version__, ABSTRACT), "CITATIONS.md": citations_page(sets, OWN)}


def main() -> None:
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main()
