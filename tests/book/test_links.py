"""The link check finds what is dead, names the page, and asks the web only when told to."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

import pytest

from book import links


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "chapters").mkdir()
    (tmp_path / "picture.svg").write_text("<svg/>")
    (tmp_path / "index.html").write_text(
        '<a href="chapters/a.html#half%20way">x</a> <a href="#top">x</a> <p id="top"><img src="picture.svg">'
        '<a href="https://example.org/x#place">x</a> <a href="mailto:a@example.org">x</a>'
    )
    (tmp_path / "chapters" / "a.html").write_text(
        '<h2 id="half way"></h2><a href="../index.html?framework=keras">x</a>'
    )
    return tmp_path


def test_live_links_pass_and_outer_ones_are_only_listed(book, monkeypatch, capsys) -> None:
    monkeypatch.setattr(links, "ask", lambda address: pytest.fail("asked the web"))
    assert links.main(["--html", str(book), "--list"]) == 0
    said = capsys.readouterr().out
    assert "2 pages, 4 links within the book, 0 dead; 1 addresses outside" in said
    assert "https://example.org/x  (index.html)" in said


@pytest.mark.parametrize(
    "target", ["chapters/b.html", "chapters/a.html#nowhere", "#nowhere", "chapters", "../index.html"]
)
def test_a_dead_link_is_named_with_its_page(book, capsys, target) -> None:
    (book / "index.html").write_text(f'<a href="{target}">x</a>')
    assert links.main(["--html", str(book)]) == 1
    assert f"dead    index.html: {target}\n" in capsys.readouterr().out


def test_a_picture_that_is_not_there_is_dead(book, capsys) -> None:
    (book / "picture.svg").unlink()
    assert links.main(["--html", str(book)]) == 1
    assert "index.html: picture.svg" in capsys.readouterr().out


def test_without_a_book_the_message_names_the_command(tmp_path, capsys) -> None:
    assert links.main(["--html", str(tmp_path)]) == 1
    assert "run make book" in capsys.readouterr().err


class Server(http.server.BaseHTTPRequestHandler):
    """Knows no HEAD; /here is there, /gone is gone, anything else is refused."""

    def do_GET(self) -> None:
        self.send_response({"/here": 200, "/gone": 404}.get(self.path, 403))
        self.end_headers()

    def log_message(self, *arguments) -> None:
        pass


def test_online_tells_gone_from_refused(book, capsys) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}"
        page = book / "index.html"
        page.write_text(f'<a href="{address}/here">x</a><a href="{address}/private">x</a>')
        (book / "chapters" / "a.html").unlink()
        assert links.main(["--html", str(book), "--online"]) == 0
        said = capsys.readouterr().out
        assert f"unsure: 403 Forbidden  {address}/private  (index.html)" in said and "/here" not in said
        page.write_text(f'<a href="{address}/gone">x</a>')
        assert links.main(["--html", str(book), "--online"]) == 1
        assert f"gone: 404 Not Found  {address}/gone" in capsys.readouterr().out
        server.shutdown()
