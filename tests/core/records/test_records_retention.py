"""The retention table against the documented artefact matrix: every row has a class, or says why nothing of it is written here."""

from stickgen_core.records.retention import MATRIX, kept

# Stage and artefact of the documented matrix (section 5.4), with its class.
DOCUMENTED = {
    "Raw MoCap / skeleton sequences": "critical", "Text / label annotations": "critical", "Upstream metadata & licenses": "recommended",
    "Canonical per-dataset motion": "recommended", "Merged dataset": "optional", "Merge statistics": "recommended",
    "Curated pretrain split": "recommended", "Curated SFT split": "recommended", "Curation report": "recommended",
    "Embedded pretrain dataset": "critical", "Embedded SFT dataset": "critical", "Web viewer motion exports": "recommended",
    "Temporary parallax motion exports": "discardable", "Parallax PNG frames": "optional", "Parallax metadata": "recommended",
    "Test/debug videos": "discardable", "Evaluation / demo videos": "optional",
}  # fmt: skip


def test_every_documented_row_has_its_documented_class():
    assert {row.artefact: row.retention for row in MATRIX if row.documented} == DOCUMENTED


def test_the_kinds_of_the_storage_table_are_here_or_say_why_not():
    for key in ("encoder_cache", "training_log", "wandb_logs", "dagster_log", "train_data_final", "workspace", "checkpoint", "shards"):
        row = kept(key)
        assert row.retention and row.why
    assert {row.key for row in MATRIX if row.not_here} == {
        "parallax_motions", "test_videos", "encoder_cache", "wandb_logs", "train_data_final", "workspace",
    }  # fmt: skip


def test_what_may_be_discarded_says_what_makes_it_again():
    for row in MATRIX:
        if row.retention in ("optional", "discardable"):
            assert row.regenerated_from, f"{row.key} may go but nothing makes it again"


def test_keys_are_unique():
    assert len({row.key for row in MATRIX}) == len(MATRIX)
