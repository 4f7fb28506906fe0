"""What the page of tools says of other projects: held against what is installed and, on request, the registry."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import pytest

import tasks
from book.ext.recbook_sphinx import tools

ROOT = Path(__file__).resolve().parents[2]
DATA = tools.load()
PAGE = (ROOT / "chapters" / "tools.md").read_text("utf-8")
PINS = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text("utf-8"), re.M)
surprise_is_here = pytest.mark.skipif(
    importlib.util.find_spec("surprise") is None,
    reason="scikit-surprise is not installed: pip install -r benchmarks/requirements.txt",
)


def section(label: str) -> str:
    """The page from a label to the next one."""
    return re.search(rf"^\({label}\)=\n(.*?)(?=^\([\w-]+\)=|\Z)", PAGE, re.M | re.S)[1]


def library(package: str) -> dict:
    return next(one for one in DATA["library"] if one["package"] == package)


def is_pinned_in(package: str, file: str) -> bool:
    pinned = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "benchmarks" / file).read_text("utf-8"), re.M)
    return (package, library(package)["release"]) in pinned


# --- libraries ------------------------------------------------------------------------------------------------------


def test_the_table_has_every_library_with_its_date() -> None:
    text = tools.libraries(DATA)
    assert tools.day(DATA["checked"].isoformat()) in text
    for one in DATA["library"]:
        row = next(
            line
            for line in text.splitlines()
            if line.startswith((f"| [{one['name']}]", f"| {one['name']} |"))
        )
        assert one["serves"] in row
        if one["release"]:
            assert f"{one['release']}, {tools.month(one['month'])}" in row
            assert one["month"] <= f"{DATA['checked']:%Y-%m}"
    for named in ("TensorFlow", "PyTorch", "Keras", "scikit-learn", "Surprise", "LightFM", "RecSys"):
        assert any(one["name"] == named and one["where"] for one in DATA["library"])


def test_pinned_versions_are_no_newer_than_the_releases_that_are_printed() -> None:
    def number(version: str) -> tuple[int, ...]:
        return tuple(map(int, re.findall(r"\d+", version)))

    pins = dict(PINS)
    compared = [one for one in DATA["library"] if one["package"] in pins]
    assert len(compared) == 4
    for one in compared:
        assert number(pins[one["package"]]) <= number(one["release"]), one["name"]


def test_what_the_benchmarks_compare_with_is_in_the_table() -> None:
    for package in ("scikit-surprise", "cornac", "implicit", "torch-rechub"):
        assert is_pinned_in(package, "requirements.txt"), package


def test_recsys_is_not_printed_as_a_library_with_a_release() -> None:
    assert library("recsys")["release"] == ""
    row = next(line for line in tools.libraries(DATA).splitlines() if "RecSys" in line)
    assert "pypi.org" not in row and "not to be identified" in row
    assert "We could not identify it" in section("tools-recsys")


# --- Surprise and LightFM ---------------------------------------------------------------------------------------------


def models_here() -> set[str]:
    text = (ROOT / "recbook" / "torch" / "__init__.py").read_text("utf-8")
    return {*re.findall(r'^    "(\w+)",$', text, re.M), "BiasOnly", "GlobalMean", "Popularity", "Random"}


def test_what_is_printed_of_surprise_is_what_it_has() -> None:
    found = DATA["surprise"]["algorithms"]
    assert "MATRIX_FACTORIZATION" not in found and {"SVD", "SVDpp", "NMF"} <= set(found)
    assert {ours for ours in found.values() if ours} <= models_here()
    assert all(f"| `{name}` |" in tools.surprise(DATA) for name in found)
    assert "cannot import name 'MATRIX_FACTORIZATION'" in section("tools-surprise")


def test_surprise_measures_ratings_alone() -> None:
    assert DATA["surprise"]["measures"] == ["rmse", "mse", "mae", "fcp"]
    assert "recall" not in tools.surprise(DATA)


@surprise_is_here
def test_surprise_says_the_same_of_itself() -> None:
    import surprise
    from surprise import accuracy
    from surprise.prediction_algorithms.algo_base import AlgoBase

    assert surprise.__version__ == library("scikit-surprise")["release"]
    algorithms = [
        name
        for name, value in vars(surprise).items()
        if isinstance(value, type) and issubclass(value, AlgoBase) and value is not AlgoBase
    ]
    assert sorted(algorithms) == sorted(DATA["surprise"]["algorithms"])
    measures = [
        name
        for name, value in vars(accuracy).items()
        if getattr(value, "__module__", "") == accuracy.__name__
    ]
    assert measures == DATA["surprise"]["measures"]
    with pytest.raises(ImportError, match="cannot import name 'MATRIX_FACTORIZATION' from 'surprise'"):
        from surprise import MATRIX_FACTORIZATION  # noqa: F401


def test_surprise_knows_no_gpu() -> None:
    assert "No. Its maintainer says so" in section("tools-surprise")
    assert "on the processor" in library("scikit-surprise")["serves"]
    spec = importlib.util.find_spec("surprise")
    for path in Path(spec.origin).parent.rglob("*.py*") if spec else ():
        if path.suffix in (".py", ".pyx"):
            assert not re.search("cuda|gpu", path.read_text("utf-8", errors="ignore"), re.I), path


def test_what_is_printed_of_lightfm_measures_lists() -> None:
    measures = DATA["lightfm"]["measures"]
    assert "recall_at_k" in measures and not {"accuracy", "f1"} & set(measures)
    assert all(f"`{name}`" in tools.lightfm(DATA) for name in measures)
    assert (
        tools.month(library("lightfm")["month"]) in section("tools-lightfm")
        and not library("lightfm")["wheel"]
    )


# --- frameworks -----------------------------------------------------------------------------------------------------


@cache
def folders_of_keras() -> set[str]:
    """The backends in the installed Keras, found without importing it."""
    spec = importlib.util.find_spec("keras")
    if spec is None:
        pytest.skip("keras is not installed")
    root = Path(spec.origin).parent / "src" / "backend"
    return {path.parent.name for path in root.glob("*/trainer.py")}


def test_keras_has_the_backends_that_are_printed() -> None:
    printed = {*DATA["keras"]["backends"], *DATA["keras"]["inference"]}
    assert folders_of_keras() - {"numpy"} == printed  # NumPy's computes for tests of Keras itself
    assert not {"theano", "cntk"} & folders_of_keras()
    assert all(f"`{name}`" in tools.keras(DATA) for name in printed)


def test_the_keras_wing_is_tested_on_every_backend_that_trains(monkeypatch) -> None:
    text = (ROOT / "recbook" / "keras" / "_backend.py").read_text("utf-8")
    backends = re.findall(r'"(\w+)"', re.search(r"^BACKENDS = \((.*)\)$", text, re.M)[1])
    assert sorted(backends) == sorted(DATA["keras"]["backends"])
    steps = []
    monkeypatch.setattr(tasks, "setup", lambda: None)
    monkeypatch.setattr(tasks, "data", lambda: None)
    monkeypatch.setattr(tasks, "run_steps", steps.extend)
    tasks.test(argparse.Namespace(variants=False))
    words = " ".join(text for _, text, _ in steps)
    assert all(f"Keras on {name}" in words for name in backends)


def test_torch_runs_at_once_and_names_the_successors_of_its_jit() -> None:
    torch = pytest.importorskip("torch")
    assert (torch.ones(2) + 1).tolist() == [2, 2]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.jit.script(torch.nn.Identity())
    assert any("torch.compile" in str(one.message) and "torch.export" in str(one.message) for one in said)


def test_platforms_are_printed_once_for_readme_and_book() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    table = readme.split("<!-- platforms -->")[1].split("<!-- end of platforms -->")[0]
    assert all(name in table for name in ("Linux x86-64", "Linux ARM", "macOS", "Windows"))
    page = (ROOT / "chapters" / "running.md").read_text("utf-8")
    assert '```{include} ../README.md\n:start-after: "<!-- platforms -->"' in page
    assert "| Linux x86-64 | yes" not in page
    assert "WSL2" in page and "WSL2" in section("tools-frameworks")


# --- environment, books, trends, questions ----------------------------------------------------------------------------


def test_requirements_name_each_package_once_in_an_exact_version() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    asked = [line for line in lines if line.strip() and not line.startswith("#")]
    names = [name.lower() for name, _ in PINS]
    assert len(PINS) == len(asked) and len(names) == len(set(names))
    assert "sklearn" not in names and "scikit-learn" in names
    assert all(re.search(r"\s# \w", line) for line in asked), "each with a line why"


def test_python_3_7_is_too_old_for_the_frameworks_as_it_says() -> None:
    frameworks = ("torch", "tensorflow", "keras", "scikit-learn")
    needed = {name: importlib.metadata.metadata(name)["Requires-Python"] for name in frameworks}
    assert needed == {"torch": ">=3.10", "tensorflow": ">=3.10", "keras": ">=3.11", "scikit-learn": ">=3.11"}
    text = " ".join(section("tools-environment").split())
    assert "PyTorch and TensorFlow ask for 3.10, Keras and scikit-learn for 3.11" in text


def test_books_are_named_with_their_authors() -> None:
    rows = section("tools-books")
    for words in ("项亮", "978-7-115-28158-6", "Ricci, Rokach and Shapira", "10.1007/978-1-0716-2197-4"):
        assert words in rows
    assert "自然语言处理综论" in rows and "MIT Press 2016" in rows


def test_trends_and_challenges_lead_to_chapters() -> None:
    rows = [line for line in section("tools-trends").splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 10
    for row in rows:
        assert re.search(r"\{ref\}|planned|opinion|neighbours say why", row), row


def test_nine_questions_are_answered_with_places() -> None:
    answers = [part for part in section("tools-questions").split("\n\n") if part.startswith("**")]
    assert len(answers) == 9
    for answer in answers[:7]:
        assert re.search(r"\{ref\}|\{cite|2008", answer), answer[:60]
    assert all(re.match(r"\*\*[^*]+\?\*\* \(\*", answer) for answer in answers), (
        "question, and what was answered"
    )


# --- the registry, on request -----------------------------------------------------------------------------------------


def pip(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.mark.network
@pytest.mark.parametrize("one", DATA["library"], ids=lambda one: one["package"])
def test_the_registry_has_the_releases_that_are_printed(one) -> None:
    said = pip("index", "versions", one["package"]).stdout
    versions = re.search(r"Available versions: (.*)", said)
    assert (one["release"] in versions[1].split(", ")) if one["release"] else versions is None


@pytest.mark.network
def test_the_package_sklearn_refuses_to_be_installed(tmp_path) -> None:
    done = pip("download", "--no-deps", "--dest", str(tmp_path), "sklearn")
    assert done.returncode and "use 'scikit-learn'" in done.stdout + done.stderr


WHEELS = {
    "win_amd64": ["win_amd64"],
    "macos_arm64": [f"macosx_{v}_0_arm64" for v in (14, 13, 12, 11)]
    + ["macosx_10_13_universal2", "macosx_10_9_universal2"],
    "linux_arm64": [f"manylinux_2_{v}_aarch64" for v in (28, 27, 26, 17)] + ["manylinux2014_aarch64"],
    "macos_intel": [f"macosx_{v}_0_x86_64" for v in (14, 13, 12, 11)]
    + [f"macosx_10_{v}_x86_64" for v in (13, 9)],
}
LACKING = {"win_amd64": "", "macos_arm64": "", "linux_arm64": "pytrec_eval-terrier", "macos_intel": "torch"}


@pytest.mark.network
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", WHEELS)
def test_wheels_exist_where_the_page_of_platforms_says_so(platform, python, tmp_path) -> None:
    where = [word for name in WHEELS[platform] for word in ("--platform", name)]
    done = pip(
        "install", "--dry-run", "--no-deps", "--ignore-installed", "--only-binary=:all:", "--implementation", "cp",
        "--python-version", python, "--target", str(tmp_path), *where, "-r", str(ROOT / "requirements.txt"),
    )  # fmt: skip
    lacking = re.search(r"No matching distribution found for ([\w.-]+)==", done.stderr)
    assert (lacking[1] if lacking else "") == LACKING[platform]
