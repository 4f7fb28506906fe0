"""Every command of the project. Standard library only, so that it runs before anything is installed, on Windows too.

python tasks.py help
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import math
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from book import rooms, spreads
from recbook.core import instruction_set, thread_pools

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "recbook-stamp"
LOWEST = ROOT / ".venv-lowest"
LOWEST_PYTHON = LOWEST / PYTHON.relative_to(VENV)
HTML = ROOT / "_build" / "html"
COPIES = ROOT / "_build" / "lab"  # the reader's own: never removed
START = COPIES / "start.ipynb"
REPORTS = ROOT / "_build" / "test"
SUPPORTED = ((3, 11), (3, 12), (3, 13))
BACKENDS = ("tensorflow", "jax", "torch")
WINGS = ("torch", "keras", *BACKENDS[:2])  # the extras of pyproject.toml that make the wings run
WORDS_PER_MINUTE = 200
CELL_TIMEOUT = 600  # seconds; ends a cell that would never end, and must not end one on a busy machine


class TaskError(Exception):
    """A command failed; the message says which one and what to do."""


# --- running things -------------------------------------------------------------------------------------------


def environment(threads: int | None = None, numpy: str | None = None, **extra: str) -> dict[str, str]:
    """The environment of every child process: quiet frameworks, UTF-8, one instruction set, threads that sleep.

    threads : for each library; None leaves them to it. Two processes with two threads each on two cores take several
    times as long as with one thread each, and with one, sums come out in one order.
    numpy: its version there, where it is another than the pinned one.
    """
    env = dict(os.environ)
    env.update(PYTHONUTF8="1", PYTHONUNBUFFERED="1", TF_ENABLE_ONEDNN_OPTS="0", TF_CPP_MIN_LOG_LEVEL="2")
    for name in ("PYTHONHOME", "MPLBACKEND"):  # would change what the environment or a figure is
        env.pop(name, None)
    env.update(extra)
    if threads:
        for name in thread_pools.COUNTS:
            env.pop(name, None)
        env.update(thread_pools.counts(threads, env))
    thread_pools.let_sleep(env)
    instruction_set.narrow(env, numpy=numpy or pinned("numpy"))
    return env


def pinned(package: str) -> str:
    """The version of requirements.txt: what .venv holds, whatever the Python that runs this has."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return next(line.split()[0].partition("==")[2] for line in lines if line.startswith(f"{package}=="))


def call(*command: object, env: dict[str, str] | None = None) -> int:
    """Run a command in the project's root, show what it prints, return its exit status."""
    return subprocess.run([str(part) for part in command], cwd=ROOT, env=env or environment()).returncode


def must(*command: object, env: dict[str, str] | None = None, remedy: str = "") -> None:
    status = call(*command, env=env)
    if status:
        line = " ".join(str(part) for part in command)
        raise TaskError(f"This command ended with status {status}:\n    {line}\n{remedy}".rstrip())


def heading(text: str) -> None:
    print(f"\n=== {text}", flush=True)


# --- the environment ------------------------------------------------------------------------------------------


def find_python() -> str:
    """A Python of a supported version: this one, or else one on the PATH."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    probe = "import sys; print(*sys.version_info[:2])"
    for major, minor in reversed(SUPPORTED):
        found = shutil.which(f"python{major}.{minor}")
        if found:
            answer = subprocess.run([found, "-c", probe], capture_output=True, text=True)
            if answer.stdout.split() == [str(major), str(minor)]:
                return found
    raise TaskError(
        "recbook needs Python 3.11, 3.12 or 3.13; this is Python {}.{} and no other was found.\n"
        "Install one of them, then name it: make PYTHON=python3.12 book, or python3.12 tasks.py book".format(
            *sys.version_info[:2]
        )
    )


def venv_version() -> str:
    """The version that .venv was made with, from its own record; empty if there is no usable .venv."""
    record = VENV / "pyvenv.cfg"
    if not record.is_file() or not PYTHON.exists():
        return ""
    for line in record.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key.strip() in ("version", "version_info"):
            return value.strip()
    return ""


def fingerprint() -> str:
    """Changes with anything that .venv was made from: pins, package, Python, place."""
    digest = hashlib.sha256()
    for name in ("requirements.txt", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    digest.update(venv_version().encode())
    digest.update(str(ROOT).encode())
    return digest.hexdigest()


def ready() -> bool:
    return bool(venv_version()) and STAMP.is_file() and STAMP.read_text(encoding="utf-8") == fingerprint()


def drop_half_installed() -> None:
    """Remove the record of every package whose installation was cut off, so that pip installs it again.

    pip writes a package's RECORD last. Without it pip still counts the package as installed.
    """
    for pattern in ("lib/python*/site-packages", "Lib/site-packages"):
        for site in VENV.glob(pattern):
            for info in site.glob("*.dist-info"):
                if not (info / "RECORD").is_file():
                    shutil.rmtree(info)
            for leftover in site.glob("~*"):  # where pip puts what it is about to replace
                shutil.rmtree(leftover, ignore_errors=True)


def setup(arguments: argparse.Namespace | None = None) -> None:
    """make .venv and install the pinned requirements and the package (seconds if it is there)"""
    if ready():
        return
    started = time.monotonic()
    STAMP.unlink(missing_ok=True)
    pip_works = (
        venv_version()
        and not subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True).returncode
    )
    if not pip_works:
        python = find_python()
        heading(f"making .venv with {python}")
        remedy = "On Debian and Ubuntu: apt-get install python3-venv"
        must(python, "-m", "venv", "--clear", VENV, remedy=remedy)
    heading("installing the pinned requirements (the first time this takes minutes and about 4.5 GB)")
    drop_half_installed()
    remedy = "What was installed is kept: run the same command again to go on."
    extra = shlex.split(os.environ.get("RECBOOK_PIP_ARGS", ""))
    install = [
        PYTHON,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--progress-bar",
        "off",
        "--quiet",
    ]
    must(*install, *extra, "-r", ROOT / "requirements.txt", remedy=remedy)
    must(*install, *extra, "--no-deps", "-e", ROOT, remedy=remedy)
    must(
        PYTHON,
        "-m",
        "pip",
        "check",
        remedy="The installed packages contradict each other; see the lines above.",
    )
    STAMP.write_text(fingerprint(), encoding="utf-8")
    print(f"environment ready after {time.monotonic() - started:.0f} s", flush=True)


def data() -> None:
    must(
        PYTHON,
        "-m",
        "recbook.datasets",
        "ml-100k",
        remedy="MovieLens-100K is needed; the lines above say what was tried.",
    )


# --- the book -------------------------------------------------------------------------------------------------


def build_book(fresh: bool) -> None:
    """Build the site with every warning an error. A fresh build reads every page again."""
    must(PYTHON, ROOT / "book" / "vendor.py")
    options = ["--all"] if fresh else []
    if fresh:  # Sphinx keeps a page of source code whose file looks older than the page, --all or not
        shutil.rmtree(HTML / "_modules", ignore_errors=True)
    if (
        HTML / "_static"
    ).is_file():  # left by a build that failed early: the theme put its logo in the folder's place
        (HTML / "_static").unlink()
    jupyter_book = BIN / ("jupyter-book.exe" if os.name == "nt" else "jupyter-book")
    must(jupyter_book, "build", ".", "-W", "-n", "--keep-going", *options)


def book(arguments: argparse.Namespace) -> None:
    """set up, fetch MovieLens-100K, build the site into _build/html"""
    started = time.monotonic()
    setup()
    heading("data")
    data()
    heading("book")
    build_book(arguments.all)
    print(
        f"\nThe book stands ({time.monotonic() - started:.0f} s): {HTML / 'index.html'}\n"
        "Open it with:  make serve   (or: python tasks.py serve), then visit http://127.0.0.1:8000"
    )


def free_port(first: int) -> int:
    for port in range(first, first + 50):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise TaskError(
        f"No free port from {first} to {first + 49}; name another: python tasks.py serve --port 9000"
    )


def serve(arguments: argparse.Namespace) -> None:
    """show the built book at http://127.0.0.1:8000 (builds it first if need be)"""
    if not (HTML / "index.html").is_file():
        book(argparse.Namespace(all=False))
    port = free_port(arguments.port)
    print(f"The book is at http://127.0.0.1:{port}    (Ctrl-C ends it)", flush=True)
    python = PYTHON if PYTHON.exists() else sys.executable
    call(python, "-m", "http.server", port, "--bind", "127.0.0.1", "--directory", HTML)


def lab(arguments: argparse.Namespace) -> None:
    """open copies of the chapters in JupyterLab, to run and change, beginning with a map; passes options to it"""
    setup()
    if arguments.reset:
        must(PYTHON, ROOT / "book" / "lab.py", "--reset", *arguments.reset)
        return
    data()
    must(PYTHON, ROOT / "book" / "lab.py")  # writes what is missing: start.ipynb and the copies
    call(PYTHON, "-m", "jupyter", "lab", *lab_options(arguments.options), env=lab_environment())


def lab_options(given: list[str]) -> list[str]:
    """The options of JupyterLab: its folder and its first page; the superuser, as in a container, may start it."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    first = f"--LabApp.default_url=/lab/tree/{START.relative_to(ROOT).as_posix()}"  # also where no browser opens it
    return [f"--ServerApp.root_dir={ROOT}", first, *(["--allow-root"] if is_root else []), *given]


def lab_environment() -> dict[str, str]:
    """Kernels find the project, whatever their folder; JupyterLab asks nothing and renders plain Markdown itself."""

    def before(name: str, path: Path) -> str:
        return os.pathsep.join([str(path), *filter(None, [os.environ.get(name)])])

    return environment(
        PYTHONPATH=before("PYTHONPATH", ROOT),
        JUPYTER_CONFIG_PATH=before("JUPYTER_CONFIG_PATH", ROOT / "book" / "jupyter"),
    )


def workshop(arguments: argparse.Namespace) -> None:
    """make the workshop kit in _build/workshop: notebooks for learners and instructors, slides, lesson plans"""
    setup()
    must(PYTHON, ROOT / "book" / "vendor.py")
    must(PYTHON, "-m", "book.workshop", remedy="The lines above say what is missing.")


def need_book() -> None:
    if not (HTML / "index.html").is_file():
        raise TaskError("There is no book yet: python tasks.py book")


def shots(arguments: argparse.Namespace) -> None:
    """pictures of the built book at 390, 820 and 1440 px, light and dark: tasks.py shots [PAGE …]"""
    setup()
    need_book()
    must(PYTHON, ROOT / "book" / "shots.py", *arguments.pages)


def linkcheck(arguments: argparse.Namespace) -> None:
    """check the links within the built book; with --online also those to other sites"""
    setup()
    need_book()
    chosen = [f"--{name}" for name in ("list", "online") if getattr(arguments, name)]
    must(PYTHON, ROOT / "book" / "links.py", *chosen, remedy="Each dead link is named above with its page.")


def pdf(arguments: argparse.Namespace) -> None:
    """the book as one PDF, in _build/pdf (needs xelatex; says what to install where something is missing)"""
    from book import pdf as press  # standard library only

    if words := press.missing():
        raise TaskError(words)
    setup()
    must(PYTHON, ROOT / "book" / "pdf.py")


# --- lint and tests -------------------------------------------------------------------------------------------


def lint(arguments: argparse.Namespace | None = None) -> None:
    """check style and formatting with ruff, and the types of the package with basedpyright"""
    setup()
    statuses = [
        call(PYTHON, "-m", "ruff", "check", "."),
        call(PYTHON, "-m", "ruff", "format", "--check", "."),
    ]
    types = call(PYTHON, "-m", "basedpyright")  # with the Node.js that its wheel brings: it asks no network
    if any(statuses):
        raise TaskError("ruff found something; `python tasks.py format` mends most of it.")
    if types:
        raise TaskError("basedpyright found something that contradicts a type; it is named above.")


def format_code(arguments: argparse.Namespace) -> None:
    """let ruff mend style and formatting; bring the wings' lists of models up to date"""
    setup()
    rooms.write_exports()
    call(PYTHON, "-m", "ruff", "check", "--fix", ".")
    must(PYTHON, "-m", "ruff", "format", ".")


def topic(arguments: argparse.Namespace) -> None:
    """write the rooms of a new topic as a skeleton: tasks.py topic NAME (make topic NAME=content)"""
    try:
        files = rooms.write_topic(arguments.name)
    except ValueError as error:
        raise TaskError(str(error)) from error
    print("\n".join(path.relative_to(ROOT).as_posix() for path in files))
    print(
        f"Enter chapters/{arguments.name} in _toc.yml; `pytest -k {arguments.name}` says what is to be written."
    )


def pytest(name: str, *arguments: object, threads: int = 1, env: dict[str, str] | None = None) -> None:
    """One pytest run with two workers, or with one of several threads; its results go to _build/test/NAME.xml.

    A file is never split between workers, but for those that tests/conftest.py names.
    """
    REPORTS.mkdir(parents=True, exist_ok=True)
    report = REPORTS / f"{name}.xml"
    report.unlink(missing_ok=True)
    options = [
        "-n",
        "2" if threads == 1 else "1",
        "--dist",
        "loadfile",
        "--no-loadscope-reorder",  # else what has few tests comes last, the longest among them
        "-q",
        f"--junitxml={report}",
        "-o",
        f"junit_suite_name={name}",
    ]
    status = call(PYTHON, "-m", "pytest", *options, *arguments, env=environment(threads, **(env or {})))
    if status == 5:
        raise TaskError(f"pytest found no test at all for `{name}`.")
    if status:
        raise TaskError(f"pytest ended with status {status}.")


def notebooks(*options: object, name: str = "notebooks", **how: object) -> None:
    pytest(
        name, "chapters", "-p", "tests.helpers.nbval_tolerance", *options,
        "--nbval-current-env", f"--nbval-cell-timeout={CELL_TIMEOUT}", **how,
    )  # fmt: skip


def counted(report: Path) -> tuple[int, int, list[str]]:
    """How many tests ran, how many failed, and why others were left out, from a JUnit file."""
    if not report.is_file():
        return 0, 0, []
    ran = failed = 0
    reasons = []
    for case in ElementTree.parse(report).iter("testcase"):
        skipped = case.find("skipped")
        if skipped is not None:
            reasons.append(skipped.get("message") or "no reason given")
        else:
            ran += 1
            failed += case.find("failure") is not None or case.find("error") is not None
    return ran, failed, reasons


def run_steps(steps: list[tuple[str, str, object]]) -> None:
    """Do every step even when an earlier one failed; then say how each went and what was left out.

    steps: (name, what it is, a function without arguments).
    """
    shutil.rmtree(REPORTS, ignore_errors=True)
    lines, left_out, failures = [], {}, 0
    for name, text, action in steps:
        heading(f"{name}: {text}")
        started = time.monotonic()
        try:
            action()
            result = "ok"
        except TaskError as error:
            print(error, flush=True)
            result, failures = "FAILED", failures + 1
        seconds = time.monotonic() - started
        ran, failed, reasons = counted(REPORTS / f"{name}.xml")
        detail = f"{ran - failed} passed, {failed} failed, {len(reasons)} left out" if ran or reasons else ""
        lines.append(f"  {name:<16} {result:<7} {seconds:6.0f} s  {detail}".rstrip())
        for reason in reasons:
            left_out[reason] = left_out.get(reason, 0) + 1
    heading("summary")
    print("\n".join(lines))
    if left_out:
        print("left out:")
        for reason, count in left_out.items():
            print(f"  {count} test{'s' if count > 1 else ''}: {reason}")
    sys.stdout.flush()
    if failures:
        raise TaskError(f"{failures} of {len(steps)} steps failed.")


def test(arguments: argparse.Namespace) -> None:
    """lint, a fresh book, pytest on all backends, every notebook run and compared (what must pass before a merge)"""
    if arguments.variants:
        return test_variants()
    setup()
    heading("data")
    data()
    run_steps(proof())


def test_all(arguments: argparse.Namespace) -> None:
    """`test` and what it leaves out: chapters without a framework, all models on all backends, variants (hours)"""
    setup()
    heading("data")
    data()
    run_with_variants(proof(thorough=True))


def proof(thorough: bool = False) -> list[tuple[str, str, object]]:
    """The steps of `test`; thorough: with the tests marked so, and many more examples of each property."""

    def tests(name: str, *choice: str, **env: str) -> None:
        chosen = [*choice, *([] if thorough else ["not thorough"])]
        marks = ["-m", " and ".join(chosen)] if chosen else []
        pytest(name, "tests", *marks, env=env | ({"RECBOOK_THOROUGH": "1"} if thorough else {}))

    def backend(name: str) -> None:
        tests(f"backend-{name}", "backends", "not gpu", KERAS_BACKEND=name)

    return [
        ("lint", "ruff check, ruff format and basedpyright", lint),
        ("book", "a fresh build, every warning an error", lambda: build_book(fresh=True)),
        ("tests", "pytest, Keras on tensorflow", lambda: tests("tests")),
        ("backend-jax", "Keras on jax", lambda: backend("jax")),
        ("backend-torch", "Keras on torch", lambda: backend("torch")),
        ("notebooks", "every notebook run, its outputs compared", lambda: notebooks("--nbval")),
    ]


@contextlib.contextmanager
def beside_busy_processes(wanted: bool = True) -> Iterator[list[subprocess.Popen]]:
    """While this lasts, as many processes as there are cores count for nothing; they end with this one.

    They are polite, where the system knows that: they keep every core busy, and make nobody wait for long.
    """
    polite = "getattr(os, 'nice', int)(19)"
    code = f"import os\n{polite}\nwhile os.getppid() == {os.getpid()}: sum(range(10**6))"
    count = (os.cpu_count() or 1) if wanted else 0
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_variants() -> None:
    """Every notebook, compared, and the twins under each of `spreads.VARIANTS`; then a table of them."""
    setup()
    data()
    run_with_variants([])


def run_with_variants(before: list[tuple[str, str, object]]) -> None:
    """Some steps, one more for each variant, and the table of the variants, whatever fails."""
    steps = []
    for variant in spreads.VARIANTS:
        name = f"variant-{variant.name.replace(' ', '-')}"
        steps.append((name, "notebooks and twins", lambda name=name, variant=variant: under(variant, name)))
    try:
        run_steps([*before, *steps])
    finally:
        print_variants({name: failures_by_file(REPORTS / f"{name}.xml") for name, _, _ in steps})


def under(variant: spreads.Variant, name: str) -> None:
    with beside_busy_processes(variant.busy):
        notebooks(
            ROOT / "tests" / "package" / "test_twins.py", "--nbval", name=name, threads=variant.threads,
            env={instruction_set.CHOICE: variant.instructions},
        )  # fmt: skip


def failures_by_file(report: Path) -> dict[str, tuple[int, int]]:
    """File → how many of its tests or cells failed, and how many there were, from a JUnit file."""
    found: dict[str, tuple[int, int]] = {}
    for case in ElementTree.parse(report).iter("testcase") if report.is_file() else ():
        parts = (case.get("classname") or case.get("name")).replace("/", ".").split(".")
        named = (part for part in parts if part.startswith("test_"))
        file = next(
            (part for part, after in zip(parts, [*parts[1:], ""], strict=True) if after == "ipynb"),
            next(named, ""),
        )
        failed, ran = found.get(file, (0, 0))
        bad = case.find("failure") is not None or case.find("error") is not None
        found[file] = failed + bad, ran + 1
    return found


def print_variants(found: dict[str, dict[str, tuple[int, int]]]) -> None:
    heading("cells or tests that failed, of all, under each variant")
    names = [name.removeprefix("variant-") for name in found]
    print(f"  {'':<24}" + "".join(f"{name:>14}" for name in names))
    for file in sorted({file for files in found.values() for file in files}):
        row = ["{} of {}".format(*files[file]) if file in files else "-" for files in found.values()]
        print(f"  {file:<24}" + "".join(f"{entry:>14}" for entry in row))
    sys.stdout.flush()


def floors(text: str) -> dict[str, str]:
    """The lowest version of every range of pyproject.toml that the package, a wing or its backends need, and pytest's.

    text: that file. The rest of the extra `test` is left out: no smoke test needs it.
    """
    import tomllib  # from Python 3.11 on; the other commands also run on older ones

    project = tomllib.loads(text)["project"]
    extras = project["optional-dependencies"]
    ranges = [*project["dependencies"], *(r for extra in WINGS for r in extras[extra])]
    ranges += [r for r in extras["test"] if re.match(r"pytest\b(?!-)", r)]
    found = {}
    for line in ranges:
        if line.startswith(f"{project['name']}["):  # an extra that has another one in it
            continue
        name, floor = re.match(r"([\w.-]+)(?:[^;]*?>=\s*([\w.]+))?", line).groups()
        if not floor:
            raise TaskError(f"pyproject.toml: `{line}` names no lowest version; write it as {name}>=1.2")
        found[name] = floor
    return found


def setup_lowest(ranges: dict[str, str]) -> None:
    """Make .venv-lowest: the package with both wings, each dependency in the lowest version of its range (`floors`)."""
    pins = "".join(f"{name}=={floor}\n" for name, floor in ranges.items())
    stamp, wanted = LOWEST / "recbook-stamp", f"{ROOT}\n{pins}"
    if LOWEST_PYTHON.exists() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    started = time.monotonic()
    heading("making .venv-lowest (the first time this takes minutes and 3.5 GB)")
    must(sys.executable, "-m", "venv", "--clear", LOWEST)
    constraints = LOWEST / "constraints.txt"
    constraints.write_text(pins, encoding="utf-8")
    must(
        LOWEST_PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off", "--quiet",
        "--only-binary", ":all:", *shlex.split(os.environ.get("RECBOOK_PIP_ARGS", "")),
        "-c", constraints, "-e", f"{ROOT}[{','.join(WINGS)}]", "pytest",
        remedy=f"Where the lowest versions ({constraints}) exclude one another, raise one in pyproject.toml.",
    )  # fmt: skip
    must(LOWEST_PYTHON, "-m", "pip", "check", remedy="The lowest versions contradict each other.")
    stamp.write_text(wanted, encoding="utf-8")
    print(f"environment ready after {time.monotonic() - started:.0f} s", flush=True)


def coverage(arguments: argparse.Namespace) -> None:
    """which lines of recbook/ the tests run: a table, and _build/coverage/index.html (as long as `test`)"""
    setup()
    data()
    options = [
        "--cov=recbook",
        "--cov-report=term:skip-covered",
        f"--cov-report=html:{ROOT / '_build' / 'coverage'}",
    ]
    pytest("coverage", "tests/package", "tests/topics", "-m", "not thorough and not browser", *options)


def test_lowest(arguments: argparse.Namespace) -> None:
    """the lowest versions that pyproject.toml allows, in .venv-lowest: a smoke test on each backend"""
    if sys.version_info[:2] != SUPPORTED[0]:
        lowest = "{}.{}".format(*SUPPORTED[0])
        raise TaskError(
            f"The lowest versions are those of the lowest Python: make PYTHON=python{lowest} test-lowest"
        )
    ranges = floors((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    setup_lowest(ranges)

    def smoke(name: str) -> None:
        # -W default: what old versions warn of is shown, and is no failure.
        must(
            LOWEST_PYTHON, "-m", "pytest", "-q", "-W", "default", "-m", "lowest", "tests/package/test_lowest.py",
            f"--junitxml={REPORTS / f'{name}.xml'}",
            env=environment(threads=1, numpy=ranges["numpy"], KERAS_BACKEND=name),
        )  # fmt: skip

    run_steps([(name, "pytest with Keras on it", partial(smoke, name)) for name in BACKENDS])


def test_fast(arguments: argparse.Namespace) -> None:
    """lint, pytest without its slow tests, every notebook run but not compared"""
    setup()
    data()
    run_steps(
        [
            ("lint", "ruff check, ruff format and basedpyright", lint),
            (
                "tests",
                "pytest without slow and browser tests",
                lambda: pytest("tests", "tests", "-m", "not slow and not browser and not thorough"),
            ),
            ("notebooks", "every notebook run, its outputs not compared", lambda: notebooks("--nbval-lax")),
        ]
    )


# --- notebooks, benchmarks, experiments -----------------------------------------------------------------------


def minutes_to_read(notebook: dict) -> int:
    """Words of the text cells at 200 words a minute, rounded up."""
    words = sum(len("".join(c["source"]).split()) for c in notebook["cells"] if c["cell_type"] == "markdown")
    return max(1, math.ceil(words / WORDS_PER_MINUTE))


def facts_of_run(path: Path) -> dict:
    """Versions, backend and data hashes: what the environment that ran a notebook says of itself."""
    command = [str(PYTHON), str(ROOT / "book" / "run_facts.py"), str(path)]
    answer = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True)
    if answer.returncode:
        raise TaskError(f"What {path.name} was run with could not be told:\n{answer.stderr.strip()}")
    return json.loads(answer.stdout.splitlines()[-1])


def normalise(notebook: dict, seconds: float, facts: dict) -> None:
    """Take out of the cells what differs between two machines; note in the metadata when and with what it ran.

    facts: what `facts_of_run` found.
    """
    notebook["metadata"]["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook["metadata"]["language_info"] = {"name": "python"}
    chapter = notebook["metadata"].setdefault("recbook", {})
    chapter["minutes"] = {"read": minutes_to_read(notebook), "run": round(max(0.1, seconds / 60), 1)}
    chapter["run"] = {"date": time.strftime("%Y-%m-%d"), "seconds": math.ceil(seconds), **facts}
    for cell in notebook["cells"]:
        for key in ("execution", "ExecuteTime", "collapsed", "scrolled", "trusted"):
            cell["metadata"].pop(key, None)
        cell["outputs"] = merged_streams(cell["outputs"]) if cell["cell_type"] == "code" else None
        if cell["outputs"] is None:
            del cell["outputs"]


def merged_streams(outputs: list[dict]) -> list[dict]:
    """Neighbouring pieces of one stream become one: where it was cut is chance."""
    merged: list[dict] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output["output_type"] == "stream" == last.get("output_type") and output["name"] == last["name"]:
            last["text"] = "".join([*last["text"], *output["text"]]).splitlines(keepends=True)
        else:
            merged.append(output)
    return merged


def cpu_seconds() -> float:
    """Processor time of all child processes that have ended; 0 on Windows, which does not say."""
    times = os.times()
    return times.children_user + times.children_system


def execute(path: Path, folder: Path, variant: spreads.Variant, keep_going: bool) -> dict:
    """The notebook as a clean kernel executes it, in its own folder, under a variant; `folder` is for scratch.

    keep_going : go on after a cell that fails, and print nothing of it.
    """
    made = folder / f"{variant.name.replace(' ', '-')}.ipynb"
    must(
        PYTHON, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", path,
        f"--output-dir={folder}", f"--output={made.name}",
        "--ExecutePreprocessor.kernel_name=python3", f"--ExecutePreprocessor.timeout={CELL_TIMEOUT}",
        "--ExecutePreprocessor.record_timing=False", "--log-level=WARN",
        *(["--allow-errors"] if keep_going else []),
        env=environment(
            variant.threads, TQDM_DISABLE="1", **{instruction_set.CHOICE: variant.instructions}
        ),
        remedy=f"{path.name} was left as it was.",
    )  # fmt: skip
    return json.loads(made.read_text(encoding="utf-8"))


def run(arguments: argparse.Namespace) -> None:
    """run notebooks from a clean kernel, store their outputs, measure their spreads: tasks.py run chapters/ctr.ipynb

    With --once only the outputs are stored: what was measured of a notebook of other cells counts no more.
    """
    setup()
    unlike = 0
    for name in arguments.notebooks:
        path = Path(name).resolve()
        if path.suffix != ".ipynb" or not path.is_file():
            raise TaskError(f"{name} is not a notebook; name a file such as chapters/neighbors.ipynb")
        facts = facts_of_run(path)
        with tempfile.TemporaryDirectory() as folder:
            heading(f"running {name}")
            seconds = store_outputs(path, Path(folder), facts)
            print(f"{name}: {seconds:.0f} s, {path.stat().st_size / 1024:.0f} KiB", flush=True)
            if not arguments.once:
                unlike += measure_spreads(path, Path(folder), seconds)
    if unlike:
        raise TaskError(
            f"{unlike} cells or runs say another thing on another machine (above), which no tolerance covers.\n"
            "Print less, or teach it so that it holds: more seeds, an average, float64, a smaller rate."
        )


def store_outputs(path: Path, folder: Path, facts: dict) -> float:
    """Execute a notebook under the first variant and put the outputs into it; the seconds that it took."""
    started, spent = time.monotonic(), cpu_seconds()
    notebook = execute(path, folder, spreads.VARIANTS[0], keep_going=False)
    # Where much else runs, the clock says how busy the machine is; what the notebook takes alone is no more.
    waited, seconds = time.monotonic() - started, cpu_seconds() - spent
    seconds = min(waited, seconds or waited)
    normalise(notebook, seconds, facts)
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(text.encode("utf-8"))
    unfinished.replace(path)
    return seconds


def measure_spreads(path: Path, folder: Path, seconds: float) -> int:
    """Execute an executed notebook under the other variants and store how far its numbers move.

    How many cells or runs say another thing, which is printed.
    """
    runs, took, failed = {}, {}, []

    def try_out(variant: spreads.Variant) -> None:
        started = time.monotonic()
        with beside_busy_processes(variant.busy):
            try:
                runs[variant.name] = execute(path, folder, variant, keep_going=True)
            except TaskError:
                failed.append(variant.name)
        took[variant.name] = time.monotonic() - started

    first, *others = spreads.VARIANTS
    runs[first.name] = json.loads(path.read_text(encoding="utf-8"))
    took[first.name] = seconds
    alone = [variant for variant in others if variant.busy or variant.threads > 1]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(try_out, [variant for variant in others if variant not in alone]))
    for variant in alone:
        try_out(variant)
    runs = {variant.name: runs[variant.name] for variant in spreads.VARIANTS if variant.name in runs}
    order = {variant.name: math.ceil(took[variant.name]) for variant in spreads.VARIANTS}
    measurement = spreads.measured(runs, order)
    spreads.store(path, measurement)
    print(spreads.described(measurement))
    for name in failed:
        print(f"  {name}: the run did not come to its end")
    sys.stdout.flush()
    return len(measurement["unlike"]) + len(failed)


def scripts(folder: str, names: list[str]) -> list[Path]:
    found = {
        path.stem: path for path in sorted((ROOT / folder).glob("*.py")) if not path.stem.startswith("_")
    }
    unknown = [name for name in names if name not in found]
    if unknown:
        raise TaskError(f"{folder}/ has no {', '.join(unknown)}; it has: {', '.join(found) or 'nothing yet'}")
    return [found[name] for name in names] or list(found.values())


def bench(arguments: argparse.Namespace) -> None:
    """measure models and other libraries side by side into results/benchmarks/: tasks.py bench [neighbors …]"""
    chosen = scripts("benchmarks", arguments.names)
    setup()
    data()
    peers = ROOT / "benchmarks" / "requirements.txt"
    remedy = "The libraries that the benchmarks compare with could not be installed."
    must(PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-r", peers, remedy=remedy)
    for script in chosen:
        heading(f"benchmarks/{script.name}")
        must(PYTHON, script, "--json", ROOT / "results" / "benchmarks" / f"{script.stem}.json")


def experiments(arguments: argparse.Namespace) -> None:
    """renew results/: tasks.py experiments [ncf …]; with --confirm measure a part again, and stamp what comes out"""
    chosen = scripts("experiments", arguments.names)
    if not chosen:
        raise TaskError("experiments/ holds no experiment.")
    setup()
    data()
    if arguments.confirm:
        heading("confirming " + (", ".join(arguments.names) or "what is stale"))
        remedy = (
            "What could not be confirmed is named above, with stored and fresh figure; it was left as it was."
        )
        must(
            PYTHON, "-m", "experiments._confirm", *arguments.names, env=environment(OMP_NUM_THREADS="1"),
            remedy=remedy,
        )  # fmt: skip
        return
    for script in chosen:
        heading(f"experiments/{script.name}")
        started = time.monotonic()
        # One thread: sums come out in one order, and a result can be had again to the last digit.
        must(PYTHON, script, env=environment(threads=1))
        print(f"experiments/{script.name}: {time.monotonic() - started:.0f} s")


def clean(arguments: argparse.Namespace) -> None:
    """remove what was built, but for your copies of the chapters; with --all also .venv and .venv-lowest"""
    names = [".pytest_cache", ".ruff_cache", ".hypothesis", "recbook.egg-info", "book/vendor"]
    names += [path.relative_to(ROOT) for path in (ROOT / "_build").glob("*") if path != COPIES]
    if arguments.all:
        names += [VENV.name, LOWEST.name]
    for name in names:
        if (ROOT / name).is_dir():
            shutil.rmtree(ROOT / name, ignore_errors=True)
        else:
            (ROOT / name).unlink(missing_ok=True)
    for top in ("recbook", "tests", "book", "benchmarks", "experiments", "chapters"):
        for pattern in ("**/__pycache__", "**/.ipynb_checkpoints"):
            for folder in (ROOT / top).glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)
    if COPIES.is_dir():
        print(
            f"Kept: {COPIES.relative_to(ROOT)}, your copies of the chapters. Remove the folder to be rid of them."
        )


def show_help(arguments: argparse.Namespace) -> None:
    """this list"""
    print("Commands (make NAME, or python tasks.py NAME):\n")
    for name, command in COMMANDS.items():
        print(f"  {name:<12} {command.__doc__}")


COMMANDS = {
    "book": book,
    "serve": serve,
    "lab": lab,
    "workshop": workshop,
    "shots": shots,
    "linkcheck": linkcheck,
    "pdf": pdf,
    "test": test,
    "test-all": test_all,
    "test-fast": test_fast,
    "test-lowest": test_lowest,
    "coverage": coverage,
    "bench": bench,
    "experiments": experiments,
    "run": run,
    "topic": topic,
    "lint": lint,
    "format": format_code,
    "setup": setup,
    "clean": clean,
    "help": show_help,
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="tasks.py", description="The commands of recbook.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    made = {name: commands.add_parser(name, help=command.__doc__) for name, command in COMMANDS.items()}
    made["book"].add_argument("--all", action="store_true", help="read every page again")
    made["shots"].add_argument(
        "pages", nargs="*", metavar="PAGE", help="as in _toc.yml (default: every page)"
    )
    made["linkcheck"].add_argument("--list", action="store_true", help="list the links to other sites")
    made["linkcheck"].add_argument(
        "--online", action="store_true", help="ask other sites whether they are there (needs a network)"
    )
    made["serve"].add_argument("--port", type=int, default=8000)
    made["lab"].add_argument(
        "--reset",
        nargs="+",
        metavar="CHAPTER",
        help="begin these copies anew, keep yours aside, and open nothing",
    )
    made["lab"].set_defaults(options=[])
    made["clean"].add_argument("--all", action="store_true", help="remove .venv and .venv-lowest too")
    made["test"].add_argument(
        "--variants",
        action="store_true",
        help="only notebooks and twins, as on other machines (over an hour)",
    )
    made["topic"].add_argument("name", metavar="NAME", help="of the topic: lower case, words joined by _")
    made["run"].add_argument("notebooks", nargs="+", metavar="NOTEBOOK")
    made["run"].add_argument(
        "--once", action="store_true", help="store the outputs, and measure nothing: for drafts"
    )
    for name in ("bench", "experiments"):
        made[name].add_argument("names", nargs="*", metavar="NAME")
    made["experiments"].add_argument(
        "--confirm",
        action="store_true",
        help="measure a part again, a minute a topic (default: all that are stale)",
    )
    return top


def parse(words: list[str]) -> argparse.Namespace:
    """The arguments of a command. What `lab` does not know, JupyterLab may."""
    top = parser()
    arguments, rest = top.parse_known_args(words)
    if arguments.command == "lab":
        arguments.options = rest
    elif rest:
        top.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def main() -> int:
    arguments = parse(sys.argv[1:])
    try:
        COMMANDS[arguments.command or "help"](arguments)
    except TaskError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
