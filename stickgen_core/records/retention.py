"""What must be kept: the documented artefact matrix (and what came to be beside it) as data."""

from dataclasses import dataclass
from typing import Literal

RetentionClass = Literal["critical", "recommended", "optional", "discardable"]


@dataclass(frozen=True)
class Kept:
    """One kind of artefact.

    key               how assets refer to it
    path              documented pattern, below $DATA_ROOT or the profile's roots
    regenerated_from  what makes it again if it is lost; empty for what nothing can
    documented        a row of the published matrix, or one of ours
    not_here          why nothing of the kind is written here; empty where it is
    """

    key: str
    stage: str
    artefact: str
    path: str
    format: str
    retention: RetentionClass
    why: str
    regenerated_from: str = ""
    documented: bool = True
    not_here: str = ""


MATRIX: tuple[Kept, ...] = (
    Kept("raw_motion", "Raw Data", "Raw MoCap / skeleton sequences", "$DATA_ROOT/<dataset>/raw/*", "native (NPZ, PKL, NPY...)",
         "critical", "source of truth for everything downstream"),
    Kept("raw_texts", "Raw Data", "Text / label annotations", "$DATA_ROOT/<dataset>/(annotations|texts)/*", "JSON / CSV / TXT",
         "critical", "needed to rebuild text–motion pairs"),
    Kept("raw_licences", "Raw Data", "Upstream metadata & licenses", "$DATA_ROOT/<dataset>/*", "text / Markdown / PDF",
         "recommended", "documentation and licensing", "the data set's home page"),
    Kept("canonical", "Conversion", "Canonical per-dataset motion", "data/motions_processed/<dataset>/canonical.pt", "corpus folder; .pt export",
         "recommended", "speeds up re-curation", "raw_motion, raw_texts"),
    Kept("merged", "Conversion", "Merged dataset", "data/merged_all.pt", "corpus folder; .pt export",
         "optional", "rebuilt by merging", "canonical"),
    Kept("merged_stats", "Conversion", "Merge statistics", "data/merged_all.stats.json", "JSON",
         "recommended", "analysis and reporting", "merged"),
    Kept("curated_pretrain", "Curation", "Curated pretrain split", "data/curated/pretrain_data.pt", "corpus folder; .pt export",
         "recommended", "input to embedding", "merged"),
    Kept("curated_sft", "Curation", "Curated SFT split", "data/curated/sft_data.pt", "corpus folder; .pt export",
         "recommended", "input to embedding", "merged"),
    Kept("curation_stats", "Curation", "Curation report", "data/curated/curation_stats.json", "JSON",
         "recommended", "documents filtering and quality thresholds", "merged"),
    Kept("embedded_pretrain", "Embedding", "Embedded pretrain dataset", "data/curated/pretrain_data_embedded.pt", "corpus folder; .pt export",
         "critical", "primary pretraining input for reproducibility", "curated_pretrain, text_vectors"),
    Kept("embedded_sft", "Embedding", "Embedded SFT dataset", "data/curated/sft_data_embedded.pt", "corpus folder; .pt export",
         "critical", "primary SFT / LoRA input", "curated_sft, text_vectors"),
    Kept("motion_exports", "Rendering", "Web viewer motion exports", "exports/motion/<run_id>/<sample_id>.motion", "JSON (.motion)",
         "recommended", "demos, qualitative evaluation, figures", "checkpoint or canonical"),
    Kept("parallax_motions", "Rendering", "Temporary parallax motion exports", "<output_dir>/_motion_tmp/sampleXXXXXX_actorY.motion",
         "JSON (.motion per actor)", "discardable", "only needed while parallax frames are drawn", "canonical",
         not_here="frames are drawn from the corpus itself; nothing temporary is written"),
    Kept("parallax_frames", "Rendering", "Parallax PNG frames", "<output_dir>/sample_XXXXXX/actor_Y/view_*.png", "PNG (8-bit RGBA)",
         "optional", "rebuildable; may be archived for key runs", "canonical"),
    Kept("parallax_metadata", "Rendering", "Parallax metadata", "<output_dir>/sample_XXXXXX/actor_Y/metadata.json", "JSON",
         "recommended", "describes views and cameras of parallax experiments", "canonical"),
    Kept("test_videos", "Rendering", "Test/debug videos", "tests/outputs/test_*.mp4", "MP4 (H.264)",
         "discardable", "regenerated on demand", "the tests",
         not_here="tests write into a temporary folder that pytest removes"),
    Kept("videos", "Rendering", "Evaluation / demo videos", "outputs/videos/<run_id>/*.mp4", "MP4 (H.264)",
         "optional", "qualitative evaluation and communication", "checkpoint"),
    Kept("inventory", "Raw Data", "Inventory of raw files", "data/inventories/<dataset>/", "manifest",
         "recommended", "fingerprint of the raw files; tells a disk that is not mounted from a data set that is gone", "raw_motion",
         documented=False),
    Kept("shards", "Conversion", "Shard pool", "data/shards/<sha256>.arrow", "Arrow IPC",
         "critical", "the motion and texts that every corpus folder points to", "raw_motion, raw_texts", documented=False),
    Kept("pt_export", "Export", "Documented .pt files", "data/**/*.pt", "torch.save(list[dict])",
         "optional", "for programs that read .pt files", "canonical, merged, curated_pretrain, curated_sft, embedded_pretrain or embedded_sft",
         documented=False),
    Kept("text_vectors", "Embedding", "Text vector cache", "data/text_vectors/<encoder-digest>/", "Arrow IPC",
         "recommended", "the cached vector is the authority for later runs", "curated_pretrain, curated_sft", documented=False),
    Kept("checkpoint", "Training", "Checkpoint", "checkpoints/<variant>_<stage>/", "torch state, safetensors, manifest",
         "critical", "days of training", "embedded_pretrain or embedded_sft, config", documented=False),
    Kept("run_folder", "Training", "Run folder", "outputs/<TIMESTAMP>_<RUN_NAME>/", "YAML, log",
         "critical", "configuration, environment and log of a run; the registry is rebuilt from it", documented=False),
    Kept("model_registry", "Training", "Model registry", "registry/model_registry.json", "JSON",
         "recommended", "queries over trained models", "run_folder", documented=False),
    Kept("evaluation", "Evaluation", "Evaluation report", "eval_results/<name>/", "JSON, HTML",
         "recommended", "every number of a table", "checkpoint, embedded_sft", documented=False),
    Kept("release", "Release", "Release bundle", "exports/<release>/", "archive",
         "critical", "what a reviewer checks", "checkpoint, evaluation", documented=False),
    Kept("lineage", "Records", "History of what was published", "data/lineage/<key>/*.json", "JSON",
         "critical", "provenance, reproduction and proofs of what may be collected are read from it", documented=False),
    Kept("releases", "Records", "Pins and released bundles", "data/pins/*.json", "JSON",
         "critical", "the roots that collection starts from", documented=False),
    Kept("tombstone", "Records", "Tombstone of a withdrawn data set", "data/tombstones/<dataset>.json", "JSON",
         "critical", "keeps a withdrawn data set from coming back", documented=False),
    Kept("receipts", "Records", "Receipts and locks", "data/.steps/", "JSON",
         "discardable", "saves a second look by each stage", "manifests", documented=False),
    Kept("refused", "Records", "Artefact that a gate refused", "data/.steps/<key>/refused/", "folder",
         "discardable", "for a person to look at; the next good build removes it", "its inputs", documented=False),
    Kept("leftover", "Records", "What a killed writer left", "**/.*.tmp", "any",
         "discardable", "nothing looks at it", "nothing needs it", documented=False),
    Kept("superseded_shard", "Conversion", "Shard that no corpus points to", "data/shards/<sha256>.arrow", "Arrow IPC",
         "optional", "an earlier version of a corpus", "raw_motion, raw_texts", documented=False),
    Kept("superseded_weights", "Training", "Weights of a run that no root needs", "outputs/<run>/*.pth", "torch state, safetensors",
         "optional", "an earlier version of a checkpoint; its configuration, log and metrics stay", "embedded_pretrain or embedded_sft, config",
         documented=False),
    Kept("superseded_vectors", "Embedding", "Text vectors of an encoder that no corpus names", "data/text_vectors/<encoder-digest>/", "Arrow IPC",
         "optional", "an earlier encoder's", "curated_pretrain, curated_sft", documented=False),
    Kept("measurements", "Curation", "Measurements of clips", "data/measurements/", "Arrow IPC",
         "discardable", "saves measuring a clip twice", "canonical", documented=False),
    Kept("honesty_rows", "Evaluation", "Floor and ceiling rows", "data/honesty_rows/", "JSON",
         "discardable", "rows that all reports share", "embedded_pretrain, evaluator", documented=False),
    Kept("training_log", "Training", "Training log", "outputs/<run>/training_verbose.log, metrics.jsonl", "text, JSON lines",
         "critical", "part of the run folder", documented=False),
    Kept("dagster_log", "Records", "Dagster's events and step logs", "$DAGSTER_HOME", "SQLite, text",
         "discardable", "the UI's history; ticks are purged after the days that dagster.yaml names", "lineage, by `stickgen lineage rebuild`",
         documented=False),
    Kept("encoder_cache", "Embedding", "Sentence encoder's files", "HF_HOME or the packaged model", "safetensors",
         "recommended", "offline runs need them", "the model hub", documented=False,
         not_here="lies outside the data root, in the hub's own cache or a package; never collected here"),
    Kept("wandb_logs", "Training", "Tracker logs (W&B)", "wandb/", "binary",
         "discardable", "copies of metrics.jsonl", "run_folder", documented=False,
         not_here="metrics go to metrics.jsonl in the run folder; a tracker that is switched on writes to its own place"),
    Kept("train_data_final", "Embedding", "Combined data set (legacy)", "data/train_data_final.pt", "torch.save(list[dict])",
         "discardable", "older form of the embedded splits", "embedded_pretrain, embedded_sft", documented=False,
         not_here="superseded by the two embedded splits"),
    Kept("workspace", "Release", "Code workspace", "the checkout", "git",
         "critical", "the code is in git at the commit that every record names", documented=False,
         not_here="not an artefact of the graph; its commit is in every entry of the history"),
)  # fmt: skip

BY_KEY: dict[str, Kept] = {kept.key: kept for kept in MATRIX}


def kept(key: str) -> Kept:
    """The row of an artefact."""
    return BY_KEY[key]
