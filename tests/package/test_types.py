"""The type checker, as `make lint` runs it: what it must find, and what it must let pass."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Lines without a comment are right; of the others it names the rule that finds them.
READER = """
import recbook.keras as rk
import recbook.torch as rt

rt.EASE()
rt.MatrixFactorization(32, epochs=3, loss="squared").clone().get_params()
rk.DeepFM(("user", "item"), 8, patience=None)
rk.UserKNN(20, "cosine")
rt.EASE.load("file").reg
rt.SASRec(factor=3)  # reportCallIssue
rk.MatrixFactorization(factors="many")  # reportArgumentType
rt.EASE().regularization  # reportAttributeAccessIssue
"""
HEAD = """

def planted(model: GradientModel) -> int:
    return model.epochs + model.rounds
"""


def test_what_is_planted_is_found_and_nothing_else(tmp_path):
    shutil.copytree(ROOT / "recbook", tmp_path / "recbook", ignore=shutil.ignore_patterns("__pycache__"))
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    (tmp_path / "pyproject.toml").write_text(
        settings.replace('venvPath = "."', f"venvPath = {str(ROOT)!r}"), "utf-8"
    )
    reader, head = tmp_path / "recbook" / "reader.py", tmp_path / "recbook" / "shared" / "_training.py"
    reader.write_text(READER, "utf-8")
    head.write_text(head.read_text("utf-8") + HEAD, "utf-8")

    command = [sys.executable, "-m", "basedpyright", "--outputjson", str(reader), str(head)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    found = {
        (Path(one["file"]).name, one["range"]["start"]["line"], one["rule"])
        for one in json.loads(done.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    }
    rules = enumerate(re.search(r"# (report\w+)", line) for line in READER.splitlines())
    wanted = {("reader.py", number, rule[1]) for number, rule in rules if rule}
    last = len(head.read_text("utf-8").splitlines()) - 1
    assert found == wanted | {("_training.py", last, "reportAttributeAccessIssue")}
