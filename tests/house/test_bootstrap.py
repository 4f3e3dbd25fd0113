"""Setting up chooses the right torch, refuses what cannot work in one line, and does nothing the second time."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bootstrap(monkeypatch):
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "has_gpu", lambda: False)
    monkeypatch.delenv("STICKGEN_TORCH", raising=False)
    return module


@pytest.fixture
def wheels(tmp_path):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    (tmp_path / f"torch-2.13.0+cpu-{tag}-{tag}-manylinux_2_28_x86_64.whl").touch()
    return str(tmp_path)


def test_a_local_cpu_wheel_is_taken_where_there_is_no_gpu(bootstrap, wheels):
    assert bootstrap.torch_lock(wheels)[0] == "torch-cpu.lock"


def test_the_indexs_build_is_taken_otherwise(bootstrap, wheels, monkeypatch, tmp_path):
    assert bootstrap.torch_lock("")[0] == "torch-cuda.lock"
    assert bootstrap.torch_lock(str(tmp_path / "nowhere"))[0] == "torch-cuda.lock"
    monkeypatch.setattr(bootstrap, "has_gpu", lambda: True)
    assert bootstrap.torch_lock(wheels)[0] == "torch-cuda.lock"


def test_a_person_can_choose(bootstrap, wheels, monkeypatch):
    monkeypatch.setenv("STICKGEN_TORCH", "cuda")
    assert bootstrap.torch_lock(wheels)[0] == "torch-cuda.lock"
    monkeypatch.setenv("STICKGEN_TORCH", "cpu")
    with pytest.raises(SystemExit, match="needs a folder with torch's"):
        bootstrap.torch_lock("")
    monkeypatch.setenv("STICKGEN_TORCH", "gpu")
    with pytest.raises(SystemExit, match="expected cpu or cuda"):
        bootstrap.torch_lock("")


def test_another_folder_of_wheels_for_another_python_does_not_count(bootstrap, tmp_path):
    (tmp_path / "torch-2.13.0+cpu-cp39-cp39-manylinux_2_28_x86_64.whl").touch()
    assert bootstrap.torch_lock(str(tmp_path))[0] == "torch-cuda.lock"


@pytest.mark.parametrize("lock", ["torch-cpu.lock", "torch-cuda.lock"])
def test_a_build_that_is_installed_stays_whatever_folders_are_mounted(bootstrap, monkeypatch, tmp_path, lock):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").touch()
    (tmp_path / ".stickgen-installed").write_text(bootstrap.digest_of(lock))
    monkeypatch.setenv("STICKGEN_VENV", str(tmp_path))
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda *_, **__: pytest.fail("it installed again"))
    bootstrap.main()


def test_an_unsupported_python_gets_one_line(tmp_path):
    text = (ROOT / "scripts" / "bootstrap.py").read_text().replace("sys.version_info[:2]", "(3, 9)")
    script = tmp_path / "bootstrap.py"
    script.write_text(text)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip() == "error: Stickgen needs Python 3.11 or 3.12, found 3.9; run `make PYTHON=python3.11 ...`"


def test_the_torch_locks_agree_with_the_base_lock():
    def pins(name):
        lines = (ROOT / "requirements" / name).read_text().splitlines()
        return {
            line.split("==")[0]: line.split("==")[1].split()[0] for line in lines if "==" in line and " ; " not in line and line[0] != " "
        }

    base = pins("base.lock")
    for lock in ("torch-cpu.lock", "torch-cuda.lock"):
        for name, version in pins(lock).items():
            assert base.get(name, version) == version, f"{name} in {lock}"
