"""Pictures of pages: long pages become several that leave nothing out."""

from __future__ import annotations

from pathlib import Path

import pytest

from book import browser, shots


@pytest.mark.parametrize("height", [1, browser.TILE, browser.TILE + 1, 2 * browser.TILE, 40_123])
def test_tiles_show_the_whole_page(height) -> None:
    tops = browser.tile_tops(height)
    assert tops[0] == 0
    assert tops[-1] + browser.TILE >= height and (len(tops) == 1 or tops[-1] + browser.TILE == height)
    steps = [then - first for first, then in zip(tops, tops[1:], strict=False)]
    assert all(0 < step <= browser.TILE - browser.OVERLAP for step in steps)


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


@pytest.mark.browser
def test_a_long_page_becomes_several_pictures(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(shots.browser, "TILE", 600)
    monkeypatch.setattr(shots.browser, "OVERLAP", 50)
    html, out = tmp_path / "html", tmp_path / "out"
    (html / "chapters").mkdir(parents=True)
    (html / "index.html").write_text("<body style='margin:0'>")
    (html / "chapters" / "long.html").write_text("<body style='margin:0'><div style='height:1500px'>")
    out.mkdir()
    (out / "chapters-long-820-dark-9.png").write_bytes(b"old")
    arguments = ["chapters/long", "--html", str(html), "--out", str(out), "--widths", "820"]
    assert shots.main(arguments) == 0
    names = [f"chapters-long-820-{theme}-{number}.png" for theme in ("dark", "light") for number in (1, 2, 3)]
    assert sorted(path.name for path in out.iterdir()) == names
    assert {png_size(out / name) for name in names} == {(820, 600)}


def test_an_unknown_page_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "index.html").write_text("x")
    monkeypatch.setattr(shots.browser, "missing", lambda: None)
    assert shots.main(["--html", str(tmp_path), "chapters/nothing"]) == 1
    assert "chapters/nothing" in capsys.readouterr().err
