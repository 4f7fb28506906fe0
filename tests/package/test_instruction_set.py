"""Each switch is asked of the library that it is for, in a process of its own."""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import tasks
from recbook.core import instruction_set
from recbook.core.instruction_set import CHOICE, NAMES, OLDER_NUMPY, SWITCHES, narrow, switches

ROOT = Path(__file__).resolve().parents[2]
THERE = {"PATH": "/usr/bin"}  # an environment in which nothing is chosen

needs_avx2 = pytest.mark.skipif(
    not instruction_set.has_avx2(), reason="a processor without AVX2, on which nothing is set"
)


@pytest.fixture
def avx2(monkeypatch):
    monkeypatch.setattr(instruction_set, "has_avx2", lambda: True)


def told(code: str, level: str, **variables: str) -> str:
    """What a new Python prints that has the switches of a level in its environment."""
    env = {name: value for name, value in os.environ.items() if name not in NAMES}
    env |= {CHOICE: level, "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"} | variables
    narrow(env)
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", code], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# --- asked of the libraries -------------------------------------------------------------------------------------


@needs_avx2
def test_numpy_leaves_wider_vectors_alone():
    code = """
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
print([name for name in __cpu_dispatch__ if __cpu_features__[name]])"""
    if np_is_older():
        assert "AVX2" in told(code, "avx2") and "AVX512" not in told(code, "avx2")
    else:
        assert ast.literal_eval(told(code, "avx2")) == ["X86_V3"]
    assert ast.literal_eval(told(code, "lowest")) == []
    assert "X86_V3" in told(code, "native")


def np_is_older() -> bool:
    return tuple(map(int, instruction_set.numpy_version().split(".")[:2])) < (2, 4)


@needs_avx2
def test_both_copies_of_openblas_take_the_kernels_asked_for():
    code = """
import json, numpy, scipy.linalg, threadpoolctl
print(json.dumps([p["architecture"] for p in threadpoolctl.threadpool_info() if p["internal_api"] == "openblas"]))"""
    assert json.loads(told(code, "avx2")) == ["Haswell", "Haswell"]
    lowest = json.loads(
        told(code, "lowest")
    )  # OpenBLAS calls its kernels for Prescott by another of their names
    assert len(lowest) == 2 and set(lowest) <= {"Prescott", "Katmai"}


@needs_avx2
def test_pytorch_has_the_capability_asked_for():
    code = "import torch; print(torch.backends.cpu.get_cpu_capability())"
    assert told(code, "avx2").strip() == "AVX2"
    assert told(code, "lowest").strip() == "DEFAULT"


CONVOLUTION = "import torch; torch.nn.Conv2d(16, 8, 3)(torch.randn(8, 16, 64, 64))"


@needs_avx2
def test_onednn_names_the_set_and_takes_its_kernels():
    def lines(level: str) -> list[str]:
        return told(CONVOLUTION, level, ONEDNN_VERBOSE="1").splitlines()

    for level, name, kernel in (
        ("avx2", "Intel AVX2", "jit:avx2,"),
        ("lowest", "Intel SSE4.1", "jit:sse41,"),
    ):
        said = lines(level)
        assert [line.rpartition("isa:")[2] for line in said if "cpu,isa:" in line] == [name]
        assert any("convolution" in line and kernel in line for line in said)


@needs_avx2
def test_mkl_computes_on_the_branch_asked_for():
    code = "import torch; x = torch.ones(300, 300); x @ x"
    for level, branch in (("avx2", "AVX2"), ("lowest", "COMPATIBLE")):
        products = [line for line in told(code, level, MKL_VERBOSE="1").splitlines() if "SGEMM" in line]
        if not products:
            pytest.skip("this PyTorch multiplies without MKL")
        if branch == "AVX2" and not is_intel():
            continue  # MKL knows this branch on Intel's processors only
        assert all(f"CNR:{branch} " in line for line in products)


def is_intel() -> bool:
    info = Path("/proc/cpuinfo")
    return info.is_file() and "GenuineIntel" in info.read_text(encoding="utf-8")


XLA_CODE = {
    "jax": "import jax, jax.numpy as jnp; jax.jit(lambda x: jnp.exp(x) @ x)(jnp.ones((64, 64)))",
    "tensorflow": """
import tensorflow as tf
tf.function(lambda x: tf.exp(x) @ x, jit_compile=True)(tf.ones((64, 64)))""",
}


@needs_avx2
@pytest.mark.parametrize("library", XLA_CODE)
def test_xla_compiles_for_the_set_asked_for(library, tmp_path):
    pytest.importorskip(library)
    machine_code = {}
    for level, name in (("avx2", "AVX2"), ("lowest", "SSE4_2")):
        folder = tmp_path / level
        told(XLA_CODE[library], level, XLA_FLAGS=f"--xla_dump_to={folder}", JAX_PLATFORMS="cpu")
        options = [path.read_text(encoding="utf-8") for path in folder.glob("*debug_options*")]
        assert options and all(f'xla_cpu_max_isa: "{name}"' in text for text in options)
        machine_code[level] = sorted(path.read_bytes() for path in folder.glob("*.o"))
    assert machine_code["avx2"] and machine_code["avx2"] != machine_code["lowest"]


@needs_avx2
def test_tensorflow_multiplies_with_onednn_and_so_heeds_its_switch():
    """Its wheel has no other way to ask: the last bits of a product differ between the two sets."""
    code = """
import numpy as np, tensorflow as tf
a = np.random.default_rng(0).normal(size=(600, 700)).astype("float32")
print(hash(tf.matmul(a, a.T).numpy().tobytes()))"""
    fixed = {"PYTHONHASHSEED": "0", "TF_NUM_INTRAOP_THREADS": "1"}
    assert told(code, "avx2", **fixed) == told(code, "avx2", **fixed) != told(code, "lowest", **fixed)


def test_this_very_process_is_narrowed():
    """Nothing that pytest loads before conftest.py has imported NumPy."""
    if instruction_set.level(os.environ) != "avx2" or "NPY_DISABLE_CPU_FEATURES" in os.environ:
        pytest.skip("another instruction set was asked for")
    from numpy._core._multiarray_umath import __cpu_features__

    asked = os.environ["NPY_ENABLE_CPU_FEATURES"].split()
    assert not any(__cpu_features__.get(name) for name in ("X86_V4", "AVX512_ICL", "AVX512_SPR"))
    assert all(__cpu_features__[name] for name in asked)


# --- what is set, and when ---------------------------------------------------------------------------------------


def test_values_that_are_there_stay(avx2):
    for name in SWITCHES:
        assert name not in switches(THERE | {name: "mine"})
    for name, others in instruction_set.INSTEAD.items():
        for other in others:
            assert name not in switches(THERE | {other: "mine"})
    assert set(switches(THERE)) == {*SWITCHES, "XLA_FLAGS"}


def test_a_flag_of_xla_is_added_to_those_that_are_there(avx2):
    mine = THERE | {"XLA_FLAGS": "--xla_dump_to=here"}
    assert switches(mine)["XLA_FLAGS"] == "--xla_dump_to=here --xla_cpu_max_isa=AVX2"
    assert "XLA_FLAGS" not in switches(THERE | {"XLA_FLAGS": "--xla_cpu_max_isa=AVX"})
    twice = dict(THERE)
    narrow(twice), narrow(twice)
    assert twice["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2"


def test_numpy_is_told_in_the_words_of_its_version(avx2):
    for version, value in (
        ("2.4.6", "X86_V3"),
        ("2.3.5", OLDER_NUMPY["avx2"]),
        ("1.26.4", OLDER_NUMPY["avx2"]),
    ):
        assert switches(THERE, version)["NPY_ENABLE_CPU_FEATURES"] == value
    assert switches(THERE | {CHOICE: "lowest"}, "1.26.4")["NPY_ENABLE_CPU_FEATURES"] == "SSE3"


def test_native_leaves_all_as_it_is(avx2):
    assert switches(THERE | {CHOICE: "native"}) == {}
    with pytest.raises(ValueError, match="RECBOOK_INSTRUCTION_SET='avx512' is none of avx2, native, lowest"):
        switches(THERE | {CHOICE: "avx512"})


@pytest.mark.parametrize("machine", ["aarch64", "arm64", "ppc64le"])
def test_nothing_is_set_on_other_processors(machine, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert not instruction_set.has_avx2()
    assert switches(THERE) == {}


@pytest.mark.parametrize(
    ("flags", "has"), [("sse2 avx avx2 fma", True), ("sse2 avx fma", False), ("avx2x fma", False)]
)
def test_flags_of_linux(flags, has, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    info = f"processor\t: 0\nvmx flags\t: avx2 fma\nflags\t\t: fpu {flags}\nbugs\t\t: none\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: info)
    assert instruction_set.has_avx2() is has


# --- where it is used --------------------------------------------------------------------------------------------


def test_the_package_alone_narrows_nothing_and_a_notebook_does():
    show = f"import os; print([name for name in {list(SWITCHES)} if name in os.environ])"
    env = {name: value for name, value in os.environ.items() if name not in NAMES} | {"MPLBACKEND": "agg"}
    for module, expected in (
        ("recbook", []),
        ("recbook.evaluation", []),
        ("recbook.notebook", list(SWITCHES)),
    ):
        done = subprocess.run(
            [sys.executable, "-c", f"import {module}; {show}"],
            env=env,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        wanted = expected if instruction_set.has_avx2() else []
        assert done.stdout.strip() == str(wanted), done.stderr


def test_commands_narrow_their_children(avx2, monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    env = tasks.environment(threads=1)
    assert {name: env[name] for name in SWITCHES} == {name: by["avx2"] for name, by in SWITCHES.items()}
    assert "--xla_cpu_max_isa=AVX2" in env["XLA_FLAGS"]
    assert not set(SWITCHES) & set(tasks.environment(threads=2, **{CHOICE: "native"}))


def test_commands_tell_numpy_in_the_words_of_the_pinned_version():
    assert tasks.pinned("numpy") in (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert tasks.pinned("numpy").startswith("2.")
