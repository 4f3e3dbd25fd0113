"""One data root, built once in this process and copied by whoever wants to change it."""

import shutil
from collections.abc import Callable

import pytest

from tests.factories.roots import Root


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Root:
    root = Root(tmp_path_factory.mktemp("built") / "data", tmp_path_factory.mktemp("raw"))
    root.build()
    return root


@pytest.fixture
def root(pristine, tmp_path) -> Root:
    """A copy to change; raw files too."""
    shutil.copytree(pristine.folder, tmp_path / "data")
    shutil.copytree(pristine.raw, tmp_path / "raw")
    return Root(tmp_path / "data", tmp_path / "raw")


@pytest.fixture
def copy_of(tmp_path) -> Callable[[Root, str], Root]:
    def copied(root: Root, name: str) -> Root:
        shutil.copytree(root.folder, tmp_path / name / "data")
        return Root(tmp_path / name / "data", root.raw)

    return copied
