"""Where things live: the documented paths below a profile's roots, and nothing else knows them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Roots of one profile; every path of the pipeline is a property or method here.

    data       $STICKGEN_DATA, default data/<profile>
    raw        $DATA_ROOT: read-only, one folder a data set, body models beside them
    outputs    $STICKGEN_OUTPUT_DIR: run folders
    """

    data: Path
    raw: Path
    outputs: Path
    checkpoints: Path
    evaluations: Path
    exports: Path
    registry_file: Path

    @classmethod
    def below(cls, root: Path, profile: str, *, data: Path | None = None, raw: Path | None = None,
              outputs: Path | None = None, registry: Path | None = None) -> "Places":  # fmt: skip
        """The documented layout; only `full` uses the bare documented names, other profiles have roots of their own."""
        data = data or root / "data" / profile
        home = root if profile == "full" else data
        return cls(
            data=data, raw=raw or data / "raw", outputs=outputs or home / "outputs", checkpoints=home / "checkpoints",
            evaluations=home / "eval_results", exports=home / "exports", registry_file=registry or home / "registry" / "model_registry.json",
        )  # fmt: skip

    @property
    def shards(self) -> Path:
        return self.data / "shards"

    @property
    def lineage(self) -> Path:
        """What was ever published here: entries of the history."""
        return self.data / "lineage"

    @property
    def pins(self) -> Path:
        """Artefacts that collection must keep: released bundles, pinned runs."""
        return self.data / "pins"

    @property
    def text_vectors(self) -> Path:
        return self.data / "text_vectors"

    @property
    def measurements(self) -> Path:
        return self.data / "measurements"

    @property
    def body_models(self) -> Path:
        return self.raw / "body_models"

    def raw_of(self, dataset: str) -> Path:
        return self.raw / dataset

    def inventory(self, dataset: str) -> Path:
        return self.data / "inventories" / dataset

    def canonical(self, dataset: str) -> Path:
        return self.data / "motions_processed" / dataset

    @property
    def merged(self) -> Path:
        return self.data / "merged_all"

    @property
    def merged_stats(self) -> Path:
        return self.data / "merged_all.stats.json"

    @property
    def merged_chart(self) -> Path:
        return self.data / "merged_all.scores.png"

    def curated(self, stage: str) -> Path:
        return self.data / "curated" / f"{stage}_data"

    @property
    def curation_stats(self) -> Path:
        return self.data / "curated" / "curation_stats.json"

    @property
    def curation_chart(self) -> Path:
        return self.data / "curated" / "curation_waterfall.png"

    def embedded(self, stage: str) -> Path:
        return self.data / "curated" / f"{stage}_data_embedded"

    @property
    def parallax(self) -> Path:
        return self.data / "2.5d_parallax"

    def checkpoint(self, variant: str, stage: str) -> Path:
        return self.checkpoints / f"{variant}_{stage}"

    @property
    def production(self) -> Path:
        """The checkpoint that was chosen: best_model.pth and the reasons."""
        return self.checkpoints / "production"

    @property
    def reports(self) -> Path:
        """Documents made from the evaluation: reproduction_report.pdf."""
        return self.evaluations.parent / "reports"

    @property
    def peers(self) -> Path:
        """Other models' outputs, one folder each (results.npy)."""
        return self.data / "peers"

    def motions(self, run_id: str) -> Path:
        return self.exports / "motion" / run_id

    def videos(self, run_id: str) -> Path:
        return self.outputs / "videos" / run_id

    def report(self, name: str) -> Path:
        return self.evaluations / name
