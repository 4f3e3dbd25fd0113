"""A corpus of made clips, published into a pool that all corpora of a test share."""

import pytest

from stickgen_core.corpus import CorpusWriter


@pytest.fixture
def store(tmp_path):
    def publish(source, clips):
        with CorpusWriter(tmp_path / source, shards=tmp_path / "shards", name=f"canonical/{source}") as writer:
            for one in clips:
                writer.add(one)
            return writer.publish()

    return publish
