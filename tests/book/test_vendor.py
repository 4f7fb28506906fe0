"""What is fetched from a registry: pinned, checked, replaced when damaged, and a clear word when it cannot be had."""

from __future__ import annotations

import dataclasses
import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from book import vendor


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch) -> Path:
    """book/vendor moved to an empty folder, with a pinned tree of one small file."""
    right = tmp_path / "right"
    right.mkdir()
    (right / "tex-chtml.js").write_bytes(b"right")
    package = dataclasses.replace(
        vendor.MATHJAX,
        home=tmp_path / "vendor" / "mathjax",
        digest=vendor.tree_digest(right, vendor.MATHJAX.wanted),
    )
    monkeypatch.setattr(vendor, "MATHJAX", package)
    return tmp_path


def fail(reason: str):
    def source(*arguments):
        raise vendor.VendorError(reason)
        yield

    return source


def give(*files: tuple[str, bytes]):
    return lambda archive, folder: iter(files)


def test_the_second_registry_serves_where_the_first_is_gone(shelf, monkeypatch, capsys) -> None:
    monkeypatch.setattr(vendor, "from_npm", fail("npm is not installed"))
    monkeypatch.setattr(
        vendor, "from_pip", give(("tex-chtml.js", b"right"), ("other.js", b"x"), ("a11y/../../x", b"x"))
    )
    assert vendor.main([]) == 0
    assert "fetched with pip" in capsys.readouterr().out
    assert sorted(path.name for path in vendor.MATHJAX.home.iterdir()) == ["NOTICE.txt", "tex-chtml.js"]
    assert not (shelf / "vendor" / "x").exists()
    monkeypatch.setattr(vendor, "fetch", fail("must not be asked again"))
    assert vendor.main([]) == 0


def test_a_damaged_copy_is_found_and_replaced(shelf, monkeypatch) -> None:
    home = vendor.MATHJAX.home
    home.mkdir(parents=True)
    (home / "tex-chtml.js").write_bytes(b"wrong")
    assert vendor.main(["--check"]) == 1
    monkeypatch.setattr(vendor, "from_npm", give(("tex-chtml.js", b"right")))
    assert vendor.main([]) == 0 and vendor.main(["--check"]) == 0
    assert [path.name for path in home.parent.iterdir()] == ["mathjax"]


def test_without_a_registry_the_message_says_what_to_do(shelf, monkeypatch, capsys) -> None:
    monkeypatch.setattr(vendor, "from_npm", fail("npm is not installed"))
    monkeypatch.setattr(vendor, "from_pip", give(("tex-chtml.js", b"tampered")))
    assert vendor.main([]) == 0
    message = capsys.readouterr().err
    for words in ("npm is not installed", "differ from the pinned", "web's copy", "python book/vendor.py"):
        assert words in message
    assert not vendor.MATHJAX.home.exists()


@pytest.mark.parametrize(
    "package", [vendor.MATHJAX, vendor.REVEAL, vendor.AXE], ids=lambda package: package.name
)
def test_an_archive_with_another_hash_is_refused(tmp_path: Path, monkeypatch, package) -> None:
    def call(command, folder):
        for archive in filter(None, (package.npm, package.pip)):
            kind = zipfile.ZipFile if archive.file.endswith(".whl") else tarfile.open
            with kind(folder / archive.file, "w"):
                pass

    monkeypatch.setattr(vendor, "call", call)
    monkeypatch.setattr(vendor.shutil, "which", lambda name: name)
    sources = [(vendor.from_npm, package.npm), (vendor.from_pip, package.pip)]
    for source, archive in sources if package.npm else sources[1:]:
        with pytest.raises(
            vendor.VendorError, match=re.escape(archive.file) + " has sha256 .* not the pinned"
        ):
            list(source(archive, tmp_path))


def test_a_package_of_one_registry_asks_no_other(shelf, monkeypatch) -> None:
    monkeypatch.setattr(vendor, "from_npm", fail("must not be asked"))
    monkeypatch.setattr(vendor, "from_pip", fail("pip has none"))
    with pytest.raises(vendor.VendorError, match="^pip: pip has none$"):
        vendor.fetch(dataclasses.replace(vendor.MATHJAX, npm=None))
