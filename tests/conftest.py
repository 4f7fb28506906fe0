"""What all tests share: quiet frameworks, one thread, and which tests this machine cannot run."""

from __future__ import annotations

import functools
import gc
import importlib.util
import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

from recbook.core import instruction_set, thread_pools

# Before NumPy or any framework is imported. The default backend of the Keras wing's tests is tensorflow; the others are
# asked for by name: KERAS_BACKEND=jax pytest -m backends
instruction_set.narrow()
os.environ.update(thread_pools.counts(1, os.environ))
thread_pools.let_sleep()
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


# No example has a deadline, and none is thought too slow: a machine may be busy. `make test` draws the same examples
# each time; `make test-all` draws others, and more of them.
THOROUGH = os.environ.get("RECBOOK_THOROUGH") == "1"
MORE_EXAMPLES = 10
settings.register_profile(
    "recbook",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not THOROUGH,
    database=None,
)
settings.load_profile("recbook")


def draw_more_examples(items: list[pytest.Item]) -> None:
    """Of each property `MORE_EXAMPLES` times as many as its test asks for."""
    for test in {item.function for item in items if is_hypothesis_test(getattr(item, "function", None))}:
        asked = test._hypothesis_internal_use_settings
        more = settings(asked, max_examples=MORE_EXAMPLES * asked.max_examples)
        test._hypothesis_internal_use_settings = more


def missing_browser() -> str:
    from book import browser

    return browser.missing() or ""


def missing_gpu() -> str:
    if not importlib.util.find_spec("torch"):
        return "no torch, which is asked whether there is a CUDA device: python tasks.py setup"
    import torch

    return "" if torch.cuda.is_available() else "no CUDA device on this machine"


def missing_network() -> str:
    return (
        ""
        if os.environ.get("RECBOOK_NETWORK") == "1"
        else "asks another machine; RECBOOK_NETWORK=1 allows it"
    )


def missing_latex() -> str:
    from book import pdf

    return " ".join(pdf.missing().split())


LACKS = {"browser": missing_browser, "gpu": missing_gpu, "latex": missing_latex, "network": missing_network}


def is_of_torch_alone(item: pytest.Item) -> bool:
    """Whether a test is given the PyTorch wing, or a class of it, to run on, and so has nothing of Keras."""
    given = getattr(item, "callspec", None)
    for value in given.params.values() if given else ():
        if inspect.ismodule(value) and value.__name__ == "recbook.torch":
            return True
        if inspect.isclass(value) and value.__module__.startswith("recbook.torch."):
            return True
    return False


# A model of each way to learn and to answer. What its neighbours share with it, `make test-all` asks of them, too.
ONE_OF_A_KIND = {
    *("UserKNN", "SlopeOne", "MatrixFactorization", "NMF", "ALS", "PureSVD", "EASE", "ImplicitALS", "BPR"),
    *("LogisticRegression", "FactorizationMachine", "GMF", "AutoRec", "DeepFM", "GRU4Rec", "SASRec"),
}


def given_models(item: pytest.Item) -> Iterator[tuple[str, str | None]]:
    """Wings, and models of them, that a test is given by its parameters: ("keras", "DIN"), or ("keras", None)."""
    given = getattr(item, "callspec", None)
    values = list(given.params.values()) if given else []
    names = [value for value in values if isinstance(value, str)]
    for value in values:
        wing = value.__name__.removeprefix("recbook.") if inspect.ismodule(value) else value
        if isinstance(wing, str) and wing == "keras":
            yield "keras", next((name for name in names if name[:1].isupper()), None)
        elif inspect.isclass(value) and value.__module__.startswith("recbook.keras."):
            yield "keras", value.__name__
        elif (
            hasattr(value, "torch") and hasattr(value, "keras") and hasattr(value, "name")
        ):  # a pair of twins
            yield "both", value.name


def comes_later(item: pytest.Item, elsewhere: bool) -> bool:
    """Whether `make test-all` alone runs a test.  elsewhere : with Keras on another backend than tensorflow"""
    models = dict(given_models(item))
    if elsewhere and any(name and name not in ONE_OF_A_KIND for name in models.values()):
        return True
    return (
        bool(item.get_closest_marker("torch_first")) and models.get("keras", "UserKNN") not in ONE_OF_A_KIND
    )


# Files whose tests are long and share nothing but what one parameter names: a worker's share is that.
SHARED_OUT = {"test_contract", "test_twins", "test_notebooks_alone"}


# Files whose tests judge visits to the pages of the book: a worker's share is a page, with all that is asked of it.
OF_PAGES = {"test_browser", "test_accessibility"}


def share_of(nodeid: str) -> str:
    """What one worker runs: a file, because its fixtures train; of a few files, the tests of one model or one page."""
    path, _, test = nodeid.partition("::")
    page = re.search(r"\[(?:[^\]]*-)?(index|chapters/\w+)(?:-[^\]]*)?\]$", test)
    if Path(path).stem in OF_PAGES and page:
        return page[1]
    if Path(path).stem in SHARED_OUT and test.endswith("]"):
        return f"{path}:{test[test.index('[') + 1 : -1].rpartition('.')[2]}"
    return path


@pytest.hookimpl(optionalhook=True)  # `make test-lowest` has no xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Shares of `share_of`. (xdist's own "loadgroup" finds no group under pytest 9.2: a test's id is not to be set.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Shares(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return share_of(nodeid)

    return Shares(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(tryfirst=True)  # before pytest itself chooses by marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another run has done; skip, with the reason and the remedy, what this machine cannot run."""
    elsewhere = os.environ["KERAS_BACKEND"] != "tensorflow"
    for item in items:
        if comes_later(item, elsewhere):
            item.add_marker("thorough")
    if elsewhere:  # PyTorch's wing is the same whatever Keras computes with
        config.hook.pytest_deselected(items=[item for item in items if is_of_torch_alone(item)])
        items[:] = [item for item in items if not is_of_torch_alone(item)]
    if THOROUGH:
        draw_more_examples(items)
    for marker, reason_for in LACKS.items():
        marked = [item for item in items if item.get_closest_marker(marker)]
        reason = reason_for() if marked else ""
        if reason:
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=f"{marker}: {reason}"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """What the frameworks made while they were imported stays for good: Python need not look through it for garbage.

    Else whoever makes many objects, such as the syntax trees of the package, waits for that again and again.
    """
    gc.collect()
    gc.freeze()


# --- the built book in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of the built book; built first where it is missing or stale."""
    from book import browser
    from tests.helpers import built_book

    built_book.build()
    with browser.serve(built_book.HTML) as address:
        yield address


@pytest.fixture(scope="session")
def running() -> Iterator:
    """One browser for all tests of a worker."""
    from book import browser

    with browser.open_browser() as window:
        yield window


def refresh(window, site: str) -> None:
    """Make the browser wide and light, with empty logs and no choice stored."""
    window.look()
    window.driver.get(f"{site}/_static/recbook.css")  # same origin, no script
    window.run("localStorage.clear()")
    window.requests(), window.console()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, fetched once and checked against its pinned hash."""
    from book import vendor

    if not vendor.is_whole(vendor.AXE):
        vendor.fetch(vendor.AXE)
    return (vendor.AXE.home / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="session")
def wide(running, site, axe):
    """What one visit to a page tells, at 1440 px; see tests/helpers/visits.py."""
    from tests.helpers.visits import OF_EACH_KIND, visit_wide

    @functools.cache
    def visit(page: str) -> dict:
        refresh(running, site)
        return visit_wide(running, f"{site}/{page}.html", axe, THOROUGH or page in OF_EACH_KIND)

    return visit


@pytest.fixture(scope="session")
def phone(running, site):
    """What one visit to a page tells, at 390 px."""
    from tests.helpers.visits import visit_on_a_phone

    @functools.cache
    def visit(page: str) -> dict:
        refresh(running, site)
        return visit_on_a_phone(running, f"{site}/{page}.html")

    return visit


@pytest.fixture
def window(running, site):
    """The browser, refreshed for one test."""
    refresh(running, site)
    return running
