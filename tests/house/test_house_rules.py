"""The rules of the house that a machine can hold: room order, no orchestrator in the core, no heavy import at start."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "stickgen_core"
ROOMS = (
    "config", "records", "skeleton", "sources", "corpus", "canonical", "curation", "text",
    "rendering", "model", "training", "generation", "evaluation",
)  # fmt: skip
# Modules that no room owns: errors stands below every room, settings above every room.
FLOOR, ROOF = "errors", "settings"
LIGHT = {"numpy", "pyarrow", "yaml", "pydantic"}
TORCH_ROOMS = {"model", "training", "generation", "evaluation"}


def imported(path: Path, top_level_only: bool = False) -> set[str]:
    """Dotted names that a module imports, anywhere or at its top level only (`if TYPE_CHECKING` does not run)."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def modules(room: str) -> list[Path]:
    return sorted((CORE / room).rglob("*.py"))


def test_the_core_is_made_of_the_designs_rooms():
    found = {path.name for path in CORE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_above_it(room):
    allowed = set(ROOMS[: ROOMS.index(room) + 1]) | {FLOOR}
    for path in modules(room):
        for name in imported(path):
            if name.startswith("stickgen_core."):
                other = name.split(".")[1]
                assert other in allowed or other == "__version__", f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("room", ROOMS)
def test_the_core_knows_neither_the_pipeline_nor_its_orchestrator(room):
    for path in modules(room):
        for name in imported(path):
            assert name.split(".")[0] not in {"dagster", "dagster_pipes", "stickgen_pipeline"}, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("room", ROOMS)
def test_heavy_packages_are_imported_where_they_are_used(room):
    light = LIGHT | set(sys.stdlib_module_names) | {"stickgen_core"} | ({"torch"} if room in TORCH_ROOMS else set())
    for path in modules(room):
        for name in imported(path, top_level_only=True):
            assert name.split(".")[0] in light, f"{path.relative_to(ROOT)} imports {name} at its top level"


def test_nothing_unpickles_without_a_restricted_reader():
    for path in [*CORE.rglob("*.py"), *(ROOT / "stickgen_pipeline").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert called not in {"pickle.load", "pickle.loads", "joblib.load", "eval", "exec"}, f"{path}: {called}"
            if called == "torch.load":
                assert options.get("weights_only") == "True", f"{path}:{node.lineno}: torch.load without weights_only=True"
            if called == "np.load":
                assert options.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}: np.load with pickle"
            if called.startswith("yaml.") and called.endswith("load"):
                assert "Loader" in options or called == "yaml.safe_load", f"{path}:{node.lineno}: {called}"


def loaded_after(statement: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"{statement}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split()}


def test_the_code_location_loads_without_torch():
    assert not loaded_after("import stickgen_pipeline.definitions") & {
        "torch",
        "ray",
        "sentence_transformers",
        "cv2",
        "matplotlib",
        "pandas.plotting",
    }


def test_the_command_line_starts_without_the_orchestrator_or_arrays():
    assert not loaded_after("import stickgen_pipeline.cli") & {"torch", "dagster", "numpy", "pyarrow", "rich"}


def test_every_module_says_its_one_idea_first():
    for path in [*CORE.rglob("*.py"), *(ROOT / "stickgen_pipeline").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]:
        text = path.read_text()
        assert not text or ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no docstring"


def test_locks_are_hashed_and_name_no_address():
    for lock in (ROOT / "requirements").glob("*.lock*"):
        text = lock.read_text()
        assert "://" not in text and "index-url" not in text, lock
        pinned = [line for line in text.splitlines() if line and not line.startswith((" ", "#", "-"))]
        assert pinned and all("==" in line for line in pinned), lock
        assert text.count("--hash=sha256:") >= len(pinned), lock
