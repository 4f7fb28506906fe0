"""The doctor says what a machine has and lacks, and what to do; each fault is planted here."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from types import SimpleNamespace

import pytest

from recbook import doctor
from recbook.core import thread_pools
from tests.package.test_imports import fresh


def one(findings) -> doctor.Finding:
    findings = list(findings)
    assert len(findings) == 1, findings
    return findings[0]


def answer(stdout: str = "", stderr: str = "", status: int = 0):
    return SimpleNamespace(stdout=stdout, stderr=stderr, returncode=status)


def without(monkeypatch, *packages: str) -> None:
    def version(package: str) -> str:
        if package in packages:
            raise importlib.metadata.PackageNotFoundError(package)
        return importlib.metadata.distribution(package).version

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)


@pytest.mark.slow
def test_this_machine_is_ready():
    done = subprocess.run(
        [sys.executable, "-m", "recbook.doctor"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("Ready") and done.stderr == ""
    assert {"Python", "packages", "load", "PyTorch", "Keras", "threads", "data"} <= {
        line.split()[1] for line in lines[:-1]
    }
    assert not any(line.startswith("FAULT") for line in lines)


def test_a_python_that_is_too_new_or_too_old():
    for version in ((3, 10), (3, 14)):
        found = one(doctor.check_python(version))
        assert found.state == "fault" and "3.11, 3.12 or 3.13" in found.remedy
    assert one(doctor.check_python((3, 12))).state == "ok"


def test_missing_packages_are_named(monkeypatch):
    without(monkeypatch, "scipy", "matplotlib")
    fault, note = [found for found in doctor.check_packages() if "not installed" in found.text]
    assert (fault.state, fault.remedy) == ("fault", "pip install scipy")
    assert (note.state, note.remedy) == ("note", "pip install matplotlib")


def test_it_runs_where_nothing_is_installed():
    """Standard library alone until it knows that the rest is there."""
    code = """
from recbook import doctor
doctor.installed = lambda package: None
assert doctor.main() == 1
"""
    fresh(code, absent={"numpy", "pandas", "scipy", "torch", "keras", "tensorflow", "jax", "pooch", "tqdm"})


def test_other_versions_than_the_pinned_ones(tmp_path):
    ours = importlib.metadata.version("numpy")
    (tmp_path / "requirements.txt").write_text(f"numpy=={ours}  # arrays\npandas==0.1.2\nnowhere==1.0\n")
    found = one(doctor.check_packages(tmp_path / "requirements.txt"))
    assert found.state == "note" and "pandas" in found.text and "0.1.2" in found.text
    assert "numpy" not in found.text and "nowhere" not in found.text
    assert doctor.pins(tmp_path / "nothing.txt") == {}


def test_a_framework_that_is_not_there(monkeypatch):
    without(monkeypatch, "torch", "keras")
    for check in (doctor.check_torch, doctor.check_keras):
        found = one(check())
        assert found.state == "note" and "pip install" in found.remedy
    without(monkeypatch, *doctor.BACKENDS)
    assert "without a backend" in one(doctor.check_keras()).text


def test_a_framework_that_crashes_is_a_line_of_the_report(monkeypatch):
    monkeypatch.setattr(doctor, "try_wing", lambda wing: answer(stderr="x\nImportError: libfoo.so", status=1))
    found = one(doctor.check_torch())
    assert found.state == "fault" and "ImportError: libfoo.so" in found.text
    monkeypatch.setattr(doctor, "try_wing", lambda wing: answer(status=-11))
    assert "status -11" in one(doctor.check_keras()).text

    def late(wing):
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(doctor, "try_wing", late)
    assert "did not answer" in one(doctor.check_keras()).text


def test_a_gpu_that_is_not_seen(monkeypatch):
    monkeypatch.setattr(doctor, "try_wing", lambda wing: answer("RECBOOK 2.13.0 cpu 2 1.9\n"))
    monkeypatch.setattr(doctor, "has_nvidia_driver", lambda: False)
    assert one(doctor.check_torch()).text == "2.13.0 computes on cpu, 2 threads"
    monkeypatch.setattr(doctor, "has_nvidia_driver", lambda: True)
    assert [found.topic for found in doctor.check_torch()] == ["PyTorch", "GPU"]
    monkeypatch.setattr(doctor, "try_wing", lambda wing: answer("RECBOOK 2.13.0 cuda 2 1.9\n"))
    assert one(doctor.check_torch()).text == "2.13.0 computes on cuda, 2 threads"


def test_threads_and_memory(monkeypatch):
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(doctor, "granted_cores", lambda: 2.0)
    monkeypatch.setattr(doctor, "total_memory", lambda: 2 * 2**30)
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    threads, memory = doctor.check_machine()
    assert threads.state == "note" and "OMP_NUM_THREADS=2 make lab" in threads.remedy
    assert memory.state == "note" and memory.text == "2.0 GiB"
    monkeypatch.setattr(doctor, "total_memory", lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert one(doctor.check_machine()).state == "ok"


def test_a_container_that_grants_fewer_cores_than_the_machine_has(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 16)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(doctor, "quotas", lambda: iter([1.5, 4.0]))
    monkeypatch.setattr(doctor, "total_memory", lambda: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = one(doctor.check_machine())
    assert found.state == "note" and "16 processors, 1.5 of them granted" in found.text
    assert "OMP_NUM_THREADS=1 make lab" in found.remedy
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert one(doctor.check_machine()).state == "ok"


@pytest.mark.parametrize(
    ("group", "files", "granted"),
    [
        ("0::/", {"cpu.max": "150000 100000\n"}, [1.5]),
        (
            "0::/a/b",
            {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "max 100000"},
            [1.0],
        ),
        (
            "4:memory:/x\n2:cpu,cpuacct:/x",
            {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
            [0.5],
        ),
        ("2:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, []),
        ("0::/", {}, []),
    ],
)
def test_quotas_of_both_versions_of_control_groups(group, files, granted, tmp_path):
    (tmp_path / "own").write_text(group + "\n")
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    assert list(doctor.quotas(tmp_path / "own", tmp_path / "groups")) == granted
    assert list(doctor.quotas(tmp_path / "none", tmp_path / "groups")) == []


def test_a_machine_on_which_others_compute(monkeypatch):
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(doctor.os, "getloadavg", lambda: (3.1, 0.0, 0.0), raising=False)
    found = one(doctor.check_load())
    assert found.state == "note" and "3.1 processes" in found.text and "three times" in found.remedy
    monkeypatch.setattr(doctor.os, "getloadavg", lambda: (0.4, 9.0, 9.0), raising=False)
    assert one(doctor.check_load()).state == "ok"
    monkeypatch.delattr(doctor.os, "getloadavg")
    assert list(doctor.check_load()) == []


def test_threads_that_hinder_each_other(monkeypatch):
    assert list(doctor.check_waiting(2.3)) == []
    for name in thread_pools.NAMES:
        monkeypatch.delenv(name, raising=False)
    found = one(doctor.check_waiting(140.0))
    assert found.state == "note" and "140 times as long" in found.text and "GOMP_SPINCOUNT=" in found.remedy
    for name, value in thread_pools.WAITS.items():
        monkeypatch.setenv(name, value)
    assert "OMP_NUM_THREADS=1 make lab" in one(doctor.check_waiting(140.0)).remedy
    monkeypatch.setattr(doctor, "try_wing", lambda wing: answer("RECBOOK 2.13.0 cpu 2 140.0\n"))
    monkeypatch.setattr(doctor, "has_nvidia_driver", lambda: False)
    assert [found.topic for found in doctor.check_torch()] == ["PyTorch", "waiting"]


def test_the_slowdown_is_measured_and_leaves_the_threads_as_they_were():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    assert doctor.slowdown() > 0 and torch.get_num_threads() == before


def test_data_that_are_missing_damaged_or_misplaced(monkeypatch, tmp_path):
    monkeypatch.delenv("RECBOOK_DATA", raising=False)
    monkeypatch.setattr("recbook.datasets._files.cache_folder", lambda: tmp_path)
    found = one(doctor.check_data())
    assert found.state == "note" and "python -m recbook.datasets ml-100k" in found.remedy
    (tmp_path / "ml-100k").mkdir()
    (tmp_path / "ml-100k" / "u.data").write_text("1\t2\t3\t4\n")
    found = one(doctor.check_data())
    assert found.state == "fault" and "u.data" in found.text
    monkeypatch.setenv("RECBOOK_DATA", str(tmp_path / "nowhere"))
    assert "RECBOOK_DATA" in one(doctor.check_data()).text


def test_the_report_counts_what_must_be_mended(monkeypatch, capsys):
    lines = [doctor.Finding("data", "fault", "broken", "mend it"), doctor.Finding("Keras", "ok", "computes")]
    monkeypatch.setattr(doctor, "examine", lambda: iter(lines))
    assert doctor.main() == 1
    shown = capsys.readouterr().out
    assert "FAULT data      broken\n" in shown and "mend it" in shown and shown.endswith("1 to mend.\n")
    monkeypatch.setattr(doctor, "examine", lambda: iter(lines[1:]))
    assert doctor.main() == 0 and "Ready" in capsys.readouterr().out
    monkeypatch.setattr(doctor, "examine", lambda: iter([]))
    assert doctor.main() == 1 and "Neither" in capsys.readouterr().out
