"""The data layer: every way to MovieLens, and every way it can go wrong.

Nothing here needs a network but the cached MovieLens-100K at the end, which
`python -m recbook.datasets ml-100k` brings.
"""

import errno
import hashlib
import http.server
import io
import logging
import os
import pickle
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recbook import datasets
from recbook.datasets import __main__, _files, _movielens
from recbook.errors import DataError, FileFormatError

# ---------------------------------------------------------------- a MovieLens of four ratings

U_DATA = b"3\t1\t5\t881250949\n1\t2\t3\t881250950\n3\t4\t1\t881250951\n2\t3\t4\t881250952\n"
U_USER = b"1|24|M|none|85711\n2|53|F|other|70072\n3|23|M|writer|02139\n"
FLAGS = {"Comedy": 5, "Drama": 8, "War": 17, "unknown": 0}
TITLES = ["Héros, Le (Hero, The) (1995)", "unknown", "Part III: A Test (1995) (V)", "None (1996) "]
GENRES = [("Comedy", "War"), ("unknown",), ("Drama",), ("Comedy",)]
# By hand: what both origins must come to.
ITEMS_TSV = (
    "item\ttitle\tyear\tgenres\n"
    "1\tHéros, Le (Hero, The)\t1995\tComedy|War\n"
    "2\tunknown\t\tunknown\n"
    "3\tPart III: A Test\t1995\tDrama\n"
    "4\tNone\t1996\tComedy\n"
).encode()


def u_item() -> bytes:
    lines = []
    for item, (title, genres) in enumerate(zip(TITLES, GENRES, strict=True), start=1):
        flags = ["1" if any(FLAGS[g] == column for g in genres) else "0" for column in range(19)]
        date = "" if title == "unknown" else "01-Jan-1995"
        lines.append("|".join([str(item), title, date, "", "http://example.org/"] + flags) + "\n")
    return "".join(lines).encode("latin-1")


RECBOLE = {
    "ml-100k.inter": b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + U_DATA,
    "ml-100k.user": b"user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    + U_USER.replace(b"|", b"\t"),
    # RecBole cuts a title at its last bracket, and has a word of its own where there is none.
    "ml-100k.item": (
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        "1\tHéros, Le (Hero, The)\t1995\tComedy War\n"
        "2\tunkonwn\tunkonwn\tunknown\n"
        "3\tPart III: A Test (1995)\tV\tDrama\n"
        "4\tNone\t1996\tComedy\n"
    ).encode(),
}
GROUPLENS = {"u.data": U_DATA, "u.item": u_item(), "u.user": U_USER}
ML_1M = {
    "ratings.dat": b"1::1193::5::978300760\n2::661::3::978302109\n",
    "movies.dat": "661::Star: A Story (1980)::Comedy|War\n1193::Misérables, Les (1995)::Drama\n".encode(
        "latin-1"
    ),
    "users.dat": b"1::F::1::10::48067\n2::M::56::16::70072-1234\n",
}
WHEEL = "recbole-1.2.1-py3-none-any.whl"


def archive(prefix: str, files: dict[str, bytes], **extra: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in files.items():
            z.writestr(prefix + name, data)
        for name, data in extra.items():
            z.writestr("../" + name, data)  # a path that leads out: must never be followed
    return buffer.getvalue()


ARCHIVES = {
    "ml-100k.zip": archive("ml-100k/", GROUPLENS, evil=b"evil"),
    WHEEL: archive("recbole/dataset_example/ml-100k/", RECBOLE),
    "ml-1m.zip": archive("ml-1m/", ML_1M),
}


def lay(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Lab:
    """A cache, a folder of the reader's own, and two origins that answer as told. No network."""

    def __init__(self, tmp_path: Path, monkeypatch):
        self.monkeypatch = monkeypatch
        self.cache, self.own = tmp_path / "cache", tmp_path / "own"
        self.own.mkdir()
        self.asked: list[str] = []
        self.answers: dict[str, bytes | BaseException] = {
            name: DataError(f"{name}: out of reach") for name in ARCHIVES
        }
        monkeypatch.setattr(_files, "cache_folder", lambda: self.cache)
        monkeypatch.delenv("RECBOOK_DATA", raising=False)
        for name, data in {**GROUPLENS, **RECBOLE, **ML_1M, **ARCHIVES, "items.tsv": ITEMS_TSV}.items():
            self.pin(name, data)
        for spec in ("ML_100K", "ML_1M"):
            real = getattr(_movielens, spec)
            origins = tuple(replace(origin, download=self.download) for origin in real.origins)
            monkeypatch.setattr(_movielens, spec, replace(real, origins=origins))

    def pin(self, name: str, data: bytes) -> None:
        self.monkeypatch.setitem(_files.SHA256, name, hashlib.sha256(data).hexdigest())

    def use_own(self) -> None:
        self.monkeypatch.setenv("RECBOOK_DATA", str(self.own))

    def reach(self, *names: str) -> None:
        self.answers.update({name: ARCHIVES[name] for name in names})

    def download(self, path: Path, progress: bool) -> None:
        self.asked.append(path.name)
        answer = self.answers[path.name]
        if isinstance(answer, BaseException):
            path.write_bytes(ARCHIVES[path.name][:10])  # half a file, as a broken connection leaves it
            raise answer
        path.write_bytes(answer)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    return Lab(tmp_path, monkeypatch)


def assert_miniature(ml) -> None:
    """The one statement of what every origin must give."""
    assert ml.interactions.to_frame().to_numpy().tolist() == [
        [3, 1, 5, 881250949],
        [1, 2, 3, 881250950],
        [3, 4, 1, 881250951],
        [2, 3, 4, 881250952],
    ]
    assert ml.items.index.tolist() == [1, 2, 3, 4] and ml.items.index.name == "item"
    assert ml.items["title"].tolist() == [
        "Héros, Le (Hero, The)",
        "unknown",
        "Part III: A Test",
        "None",
    ]
    assert ml.items["year"].fillna(0).tolist() == [1995, 0, 1995, 1996]
    assert ml.items["genres"].tolist() == ["Comedy|War", "unknown", "Drama", "Comedy"]
    assert ml.users.index.tolist() == [1, 2, 3] and ml.users.index.name == "user"
    assert ml.users.to_numpy().tolist() == [
        [24, "M", "none", "85711"],
        [53, "F", "other", "70072"],
        [23, "M", "writer", "02139"],
    ]
    assert (ml.name, ml.sha256) == ("ml-100k", hashlib.sha256(U_DATA).hexdigest())


# ---------------------------------------------------------------- ways to MovieLens-100K


def test_grouplens_comes_first_and_is_kept(lab):
    lab.reach("ml-100k.zip", WHEEL)
    ml = datasets.fetch_movielens("100k")
    assert_miniature(ml)
    assert lab.asked == ["ml-100k.zip"] and "ml-100k.zip" in ml.source
    assert listing(lab.cache) == ["ml-100k/items.tsv", "ml-100k/u.data", "ml-100k/u.user"]


def test_wheel_is_the_last_resort(lab):
    lab.reach(WHEEL)
    ml = datasets.fetch_movielens()
    assert_miniature(ml)
    assert lab.asked == ["ml-100k.zip", WHEEL] and "recbole 1.2.1" in ml.source


def test_both_origins_leave_the_same_bytes(lab, tmp_path):
    kept = []
    for name in ("ml-100k.zip", WHEEL):
        lab.cache = tmp_path / f"cache of {name}"
        lab.answers = {other: DataError("out of reach") for other in ARCHIVES} | {name: ARCHIVES[name]}
        datasets.fetch_movielens()
        kept.append({file: (lab.cache / file).read_bytes() for file in listing(lab.cache)})
    assert kept[0] == kept[1]
    assert kept[0] == {"ml-100k/items.tsv": ITEMS_TSV, "ml-100k/u.data": U_DATA, "ml-100k/u.user": U_USER}


def test_second_call_reads_the_cache(lab):
    lab.reach("ml-100k.zip")
    datasets.fetch_movielens()
    lab.asked.clear()
    ml = datasets.fetch_movielens()
    assert_miniature(ml)
    assert lab.asked == [] and "cache" in ml.source


@pytest.mark.parametrize(
    "put",
    [
        lambda root: lay(root / "ml-100k", GROUPLENS),
        lambda root: lay(root / "ml-100k", RECBOLE),
        lambda root: lay(root / "ml-100k", {"u.data": U_DATA, "u.user": U_USER, "items.tsv": ITEMS_TSV}),
        lambda root: lay(root, {"ml-100k.zip": ARCHIVES["ml-100k.zip"]}),
        lambda root: lay(root, {WHEEL: ARCHIVES[WHEEL]}),
    ],
    ids=["GroupLens folder", "RecBole folder", "our folder", "zip", "wheel"],
)
@pytest.mark.parametrize("place", ["own", "cache"])
def test_all_forms_are_read_without_asking_anybody(lab, put, place):
    put(getattr(lab, place))
    lab.use_own()
    ml = datasets.fetch_movielens()
    assert_miniature(ml)
    assert lab.asked == [] and {"own": "RECBOOK_DATA", "cache": "cache"}[place] in ml.source


def test_own_folder_goes_before_the_cache_and_is_not_written_to(lab):
    lay(lab.own, {"ml-100k.zip": ARCHIVES["ml-100k.zip"]})
    lay(lab.cache / "ml-100k", {"u.data": b"damaged"})
    lab.use_own()
    assert_miniature(datasets.fetch_movielens())
    assert listing(lab.own) == ["ml-100k.zip"]


def test_archives_are_never_unpacked_to_paths(lab, tmp_path):
    lab.reach("ml-100k.zip")
    datasets.fetch_movielens()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Toy Story (1995)", ("Toy Story", "1995")),
        ("Seven (Se7en) (1995)", ("Seven (Se7en)", "1995")),
        ("Land Before Time III (1995) (V)", ("Land Before Time III", "1995")),
        ("  Two   Spaces  (1996) ", ("Two Spaces", "1996")),
        ("1984 (1984)", ("1984", "1984")),
        ("unknown", ("unknown", "")),
    ],
)
def test_split_title(text, expected):
    assert datasets.split_title(text) == expected


# ---------------------------------------------------------------- MovieLens-1M


@pytest.mark.parametrize("form", ["zip", "folder", "fetched"])
def test_ml_1m(lab, form):
    if form == "zip":
        lay(lab.own, {"ml-1m.zip": ARCHIVES["ml-1m.zip"]})
    elif form == "folder":
        lay(lab.own / "ml-1m", ML_1M)
    else:
        lab.reach("ml-1m.zip")
    lab.use_own()
    ml = datasets.fetch_movielens("1m")
    assert ml.interactions.to_frame().to_numpy().tolist() == [[1, 1193, 5, 978300760], [2, 661, 3, 978302109]]
    assert ml.items.index.tolist() == [661, 1193]
    assert ml.items.to_numpy().tolist() == [
        ["Star: A Story", 1980, "Comedy|War"],
        ["Misérables, Les", 1995, "Drama"],
    ]
    assert list(ml.users.columns) == ["age", "gender", "occupation", "zip_code"]
    assert ml.users.to_numpy().tolist() == [[1, "F", 10, "48067"], [56, "M", 16, "70072-1234"]]
    assert (ml.name, ml.sha256) == ("ml-1m", hashlib.sha256(ML_1M["ratings.dat"]).hexdigest())
    assert lab.asked == (["ml-1m.zip"] if form == "fetched" else [])


# ---------------------------------------------------------------- bad input

Bomb = type("Bomb", (), {"__reduce__": lambda self: (os.mkdir, ("exploded",))})


def bad_own(files, folder="ml-100k"):
    def prepare(lab):
        lay(lab.own / folder, files)
        lab.use_own()

    return prepare


def bad_pickle(lab):
    lab.monkeypatch.chdir(lab.own)
    bad_own(GROUPLENS | {"u.data": pickle.dumps(Bomb())})(lab)


def bad_rights(lab):
    bad_own(GROUPLENS)(lab)

    def refuse(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    lab.monkeypatch.setattr(Path, "read_bytes", refuse)


def bad_directory(lab):
    bad_own({k: v for k, v in GROUPLENS.items() if k != "u.data"})(lab)
    (lab.own / "ml-100k" / "u.data").mkdir()


def bad_member(files, limit=None):
    def prepare(lab):
        data = archive("ml-100k/", files)
        lab.pin("ml-100k.zip", data)
        lay(lab.own, {"ml-100k.zip": data})
        lab.use_own()
        if limit:
            lab.monkeypatch.setattr(_files, "MAX_MEMBER_BYTES", limit)

    return prepare


def bad_download(name, data):
    def prepare(lab):
        lab.answers[name] = data

    return prepare


def bad_full_disk(lab):
    lab.reach("ml-100k.zip")

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    lab.monkeypatch.setattr(os, "replace", full)


def bad_no_folder(lab):
    lab.monkeypatch.setenv("RECBOOK_DATA", str(lab.own / "nowhere"))


def bad_cache_is_a_file(lab):
    lab.cache.write_bytes(b"")


def bad_damaged_cache(lab):
    lay(lab.cache / "ml-100k", {"u.data": U_DATA, "u.user": U_USER[:-5], "items.tsv": ITEMS_TSV})


REMEDY = "remove it and run again"
TAMPERED = U_DATA.replace(b"\t5\t", b"\t4\t")
BAD_FILES = {
    "unknown name": ("10m", None, ValueError, ["'10m'", "'100k'", "'1m'"]),
    "name is no text": (100, None, ValueError, ["100", "'100k'"]),
    "RECBOOK_DATA is no folder": ("100k", bad_no_folder, DataError, ["RECBOOK_DATA", "nowhere", "unset"]),
    "truncated": ("100k", bad_own(GROUPLENS | {"u.data": U_DATA[:-9]}), DataError, ["u.data", REMEDY]),
    "empty": ("100k", bad_own(GROUPLENS | {"u.user": b""}), DataError, ["u.user", "0 bytes", REMEDY]),
    "one rating altered": (
        "100k",
        bad_own(GROUPLENS | {"u.data": TAMPERED}),
        DataError,
        ["u.data", "altered", REMEDY],
    ),
    "line ends converted": (
        "100k",
        bad_own(GROUPLENS | {"u.data": U_DATA.replace(b"\n", b"\r\n")}),
        DataError,
        ["u.data", REMEDY],
    ),
    "foreign file": ("100k", bad_own(GROUPLENS | {"u.item": b"a,b\n1,2\n"}), DataError, ["u.item", REMEDY]),
    "pickle in place of text": ("100k", bad_pickle, DataError, ["u.data", REMEDY]),
    "companion missing": (
        "100k",
        bad_own({"u.data": U_DATA, "u.user": U_USER}),
        DataError,
        ["u.item", "missing", "put"],
    ),
    "RecBole file altered": (
        "100k",
        bad_own(RECBOLE | {"ml-100k.item": RECBOLE["ml-100k.item"] + b"5\tx\t1990\tWar\n"}),
        DataError,
        ["ml-100k.item", REMEDY],
    ),
    "no right to read": ("100k", bad_rights, DataError, ["u.data", "Permission denied", "rights"]),
    "folder in place of a file": ("100k", bad_directory, DataError, ["u.data", "cannot be read", "remove"]),
    "truncated zip": (
        "100k",
        bad_own({"ml-100k.zip": ARCHIVES["ml-100k.zip"][:-30]}, "."),
        DataError,
        ["ml-100k.zip", REMEDY],
    ),
    "web page saved as zip": (
        "100k",
        bad_own({"ml-100k.zip": b"<html>log in</html>"}, "."),
        DataError,
        ["ml-100k.zip", "19 bytes", REMEDY],
    ),
    "altered wheel": ("100k", bad_own({WHEEL: ARCHIVES[WHEEL] + b"\0"}, "."), DataError, [WHEEL, REMEDY]),
    "zip lacks a member": (
        "100k",
        bad_member({"u.data": U_DATA, "u.user": U_USER}),
        DataError,
        ["ml-100k/u.item", "fetch it again"],
    ),
    "zip with an altered member": (
        "100k",
        bad_member(GROUPLENS | {"u.data": TAMPERED}),
        DataError,
        ["member ml-100k/u.data", REMEDY],
    ),
    "zip with a huge member": ("100k", bad_member(GROUPLENS, limit=50), DataError, ["unpacks to", "refused"]),
    "download is another zip": (
        "100k",
        bad_download("ml-100k.zip", archive("ml-100k/", GROUPLENS | {"u.data": TAMPERED})),
        DataError,
        ["what came as ml-100k.zip", "nothing of it was kept", "RECBOOK_DATA"],
    ),
    "download is another wheel": (
        "100k",
        bad_download(WHEEL, archive("recbole/", RECBOLE)),
        DataError,
        ["recbole 1.2.1", "nothing of it was kept", "RECBOOK_DATA"],
    ),
    "all out of reach": (
        "100k",
        None,
        DataError,
        [
            "ml-100k.zip: out of reach",
            f"{WHEEL}: out of reach",
            "Without a network",
            "put it",
            "grouplens.org",
            "cache",
        ],
    ),
    "own folder holds nothing, all out of reach": (
        "100k",
        lambda lab: lab.use_own(),
        DataError,
        ["holds neither", "RECBOOK_DATA=", "out of reach", "put it"],
    ),
    "damaged cache, all out of reach": (
        "100k",
        bad_damaged_cache,
        DataError,
        ["u.user", "put it", "out of reach"],
    ),
    "1m: out of reach": ("1m", None, DataError, ["ml-1m.zip: out of reach", "put it", "ml-1m"]),
    "1m: truncated": (
        "1m",
        bad_own(ML_1M | {"ratings.dat": ML_1M["ratings.dat"][:-4]}, "ml-1m"),
        DataError,
        ["ratings.dat", REMEDY],
    ),
    "disk full": ("100k", bad_full_disk, DataError, ["cannot write", "No space left", "free space"]),
    "cache is a file": ("100k", bad_cache_is_a_file, DataError, ["cannot write", "cache", "RECBOOK_DATA"]),
}


@pytest.mark.filterwarnings("ignore:.*Fetching it again")
@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_input(lab, case):
    name, prepare, error, parts = BAD_FILES[case]
    if prepare:
        prepare(lab)
    with pytest.raises(error) as caught:
        datasets.fetch_movielens(name)
    assert caught.type is error
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"
    # Nothing half done is left in the cache; nothing was run.
    kept = listing(lab.cache) if lab.cache.is_dir() else []
    assert kept in ([], ["ml-100k/items.tsv", "ml-100k/u.data", "ml-100k/u.user"])
    assert not (lab.own / "exploded").exists()


# ---------------------------------------------------------------- interruptions lose nothing


def test_damaged_cache_is_named_and_fetched_again(lab):
    bad_damaged_cache(lab)
    lab.reach("ml-100k.zip")
    with pytest.warns(UserWarning, match=r"u\.user is not the published.*Fetching it again"):
        assert_miniature(datasets.fetch_movielens())
    assert (lab.cache / "ml-100k" / "u.user").read_bytes() == U_USER


@pytest.mark.filterwarnings("ignore:.*Fetching it again")
def test_interrupted_download_touches_nothing(lab):
    bad_damaged_cache(lab)
    before = {name: (lab.cache / name).read_bytes() for name in listing(lab.cache)}
    lab.answers["ml-100k.zip"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        datasets.fetch_movielens()
    assert {name: (lab.cache / name).read_bytes() for name in listing(lab.cache)} == before


def test_interrupted_write_leaves_no_half_file_and_is_mended(lab):
    lab.reach("ml-100k.zip")
    real, calls = os.replace, []

    def second_fails(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(source, target)

    with lab.monkeypatch.context() as patch:
        patch.setattr(os, "replace", second_fails)
        with pytest.raises(KeyboardInterrupt):
            datasets.fetch_movielens()
    assert listing(lab.cache) == ["ml-100k/u.data"]
    with pytest.warns(UserWarning, match="missing"):
        assert_miniature(datasets.fetch_movielens())


def test_remains_of_a_killed_download_are_not_used(lab):
    lay(lab.cache / ".incoming-dead", {"ml-100k.zip": ARCHIVES["ml-100k.zip"][:50]})
    lab.reach("ml-100k.zip")
    assert_miniature(datasets.fetch_movielens())


@pytest.mark.skipif(os.name != "posix", reason="rights of this kind are POSIX'")
def test_kept_files_are_readable_for_others(lab):
    lab.reach("ml-100k.zip")
    mask = os.umask(0o022)
    try:
        datasets.fetch_movielens()
    finally:
        os.umask(mask)
    assert (lab.cache / "ml-100k" / "u.data").stat().st_mode & 0o777 == 0o644


# ---------------------------------------------------------------- http, against a server on this machine


class Server:
    """Serves one answer after another, the last one again and again."""

    def __init__(self, *answers: str):
        self.answers, self.asked = list(answers), 0
        self.closing = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = server.answers[min(server.asked, len(server.answers) - 1)]
                server.asked += 1
                body = ARCHIVES["ml-100k.zip"]
                if answer == "hang":
                    server.closing.wait(60)
                    return
                self.send_response(404 if answer == "missing" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(
                    {"half": body[: len(body) // 2], "other": bytes(len(body))}.get(answer, body)
                )

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def http_lab(lab, monkeypatch):
    """`lab`, with the real downloader of GroupLens' zip; waiting is noted, not done."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    lab.waits = []
    monkeypatch.setattr(_files.time, "sleep", lab.waits.append)
    first, last = _movielens.ML_100K.origins
    origins = (replace(first, download=_files.download_http), last)
    monkeypatch.setattr(_movielens, "ML_100K", replace(_movielens.ML_100K, origins=origins))
    return lab


def serve(lab, server):
    lab.monkeypatch.setattr(_files, "GROUPLENS", server.url)


def test_http(http_lab, capfd, monkeypatch):
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    monkeypatch.setattr(_files.pooch.get_logger(), "handlers", [handler])
    with Server("good") as server:
        serve(http_lab, server)
        assert_miniature(datasets.fetch_movielens())
    assert server.asked == 1 and http_lab.waits == []
    assert said == [] and capfd.readouterr() == ("", "")  # a notebook that fetches prints nothing


@pytest.mark.parametrize("first", ["half", "other", "missing"])
def test_http_tries_again_with_growing_pauses(http_lab, first):
    with Server(first, first, "good") as server:
        serve(http_lab, server)
        assert_miniature(datasets.fetch_movielens())
    assert server.asked == 3 and http_lab.waits == [1, 2]


@pytest.mark.parametrize(
    ("answer", "reason"), [("half", "http://127"), ("other", "hash"), ("missing", "404")]
)
def test_http_gives_up_and_says_why(http_lab, answer, reason):
    with Server(answer) as server:
        serve(http_lab, server)
        with pytest.raises(DataError, match=reason):
            datasets.fetch_movielens()
    assert server.asked == _files.ATTEMPTS and listing(http_lab.cache) == []


def test_http_does_not_wait_long_for_silence(http_lab, monkeypatch):
    monkeypatch.setattr(_files, "TIMEOUT", 0.1)
    with Server("hang") as server:
        serve(http_lab, server)
        with pytest.raises(DataError, match="[Tt]imed out"):  # the server would be silent for a minute
            datasets.fetch_movielens()
    assert server.asked == _files.ATTEMPTS


def test_http_asks_once_where_nobody_answers(http_lab, monkeypatch):
    asked = []

    def silence(*arguments, **options):
        asked.append(arguments)
        raise _files.requests.exceptions.ConnectTimeout("no answer")

    monkeypatch.setattr(_files.requests, "get", silence)
    with pytest.raises(DataError, match="no answer"):
        datasets.fetch_movielens()
    assert len(asked) == 1 and http_lab.waits == []


def test_http_nobody_there(http_lab):
    with Server("good") as server:
        pass
    serve(http_lab, server)
    with pytest.raises(DataError, match="[Rr]efused"):
        datasets.fetch_movielens()


# ---------------------------------------------------------------- pip


class Pip:
    """Stands in for `subprocess.run`: notes the command, and answers as told."""

    def __init__(self, returncode=0, stderr="", brings=None, error=None):
        self.returncode, self.stderr, self.brings, self.error, self.command = (
            returncode,
            stderr,
            brings,
            error,
            None,
        )

    def __call__(self, command, **options):
        self.command = command
        if self.error:
            raise self.error
        if self.brings:
            (Path(command[command.index("--dest") + 1]) / WHEEL).write_bytes(self.brings)
        return subprocess.CompletedProcess(command, self.returncode, "", self.stderr)


def with_pip(lab, pip: Pip) -> Pip:
    first, last = _movielens.ML_100K.origins
    origins = (first, replace(last, download=_files.download_wheel))
    lab.monkeypatch.setattr(_movielens, "ML_100K", replace(_movielens.ML_100K, origins=origins))
    lab.monkeypatch.setattr(_files.subprocess, "run", pip)
    return pip


def test_pip_downloads_and_installs_nothing(lab):
    pip = with_pip(lab, Pip(brings=ARCHIVES[WHEEL]))
    assert_miniature(datasets.fetch_movielens())
    assert pip.command[:5] == [sys.executable, "-m", "pip", "download", "recbole==1.2.1"]
    assert {"--no-deps", "--only-binary=:all:"} <= set(pip.command)
    assert WHEEL not in " ".join(listing(lab.cache))


@pytest.mark.parametrize(
    ("pip", "part"),
    [
        (
            Pip(1, "noise\nERROR: No matching distribution found for recbole==1.2.1\n"),
            "No matching distribution",
        ),
        (Pip(1, "python: No module named pip"), "No module named pip"),
        (Pip(1, ""), "pip said nothing"),
        (Pip(error=subprocess.TimeoutExpired("pip", 120)), "timed out"),
        (Pip(error=FileNotFoundError(2, "No such file")), "No such file"),
        (Pip(brings=None), "brought no recbole"),
        (Pip(brings=b"not a wheel"), "nothing of it was kept"),
    ],
    ids=["not found", "no pip", "silent", "timeout", "no python", "nothing brought", "foreign wheel"],
)
def test_pip_fails(lab, pip, part):
    with_pip(lab, pip)
    with pytest.raises(DataError) as caught:
        datasets.fetch_movielens()
    assert part in str(caught.value) and "Without a network" in str(caught.value)
    assert listing(lab.cache) == []


# ---------------------------------------------------------------- where things are kept; the command


def test_cache_is_data_in_a_checkout_and_the_users_cache_elsewhere(tmp_path, monkeypatch):
    package = tmp_path / "recbook"
    package.mkdir()
    monkeypatch.setattr(_files, "__file__", str(package / "datasets" / "_files.py"))
    assert datasets.cache_folder() == Path(_files.pooch.os_cache("recbook"))
    (tmp_path / "pyproject.toml").write_text("")
    assert datasets.cache_folder() == tmp_path.resolve() / "data"


def test_command(lab, capsys):
    lab.reach("ml-100k.zip")
    assert __main__.main(["ml-100k"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"path    {lab.cache / 'ml-100k'}",
        "rows    4 ratings, 3 users, 4 items",
        f"sha256  {hashlib.sha256(U_DATA).hexdigest()}",
    ]
    assert err == ""


def test_command_fails_with_the_message(lab, capsys):
    assert __main__.main(["ml-100k"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "Without a network" in err


def test_command_where(lab, capsys):
    assert __main__.main(["ml-100k", "--where"]) == 0
    lay(lab.own, {"ml-100k.zip": b""})
    lab.use_own()
    assert __main__.main(["ml-100k", "--where"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(lab.cache / "ml-100k"), str(lab.own / "ml-100k.zip")]
    assert lab.asked == []


# ---------------------------------------------------------------- the real one


@pytest.fixture(scope="module")
def ml():
    return datasets.fetch_movielens("100k")


def test_movielens_100k_is_the_published_one(ml):
    x = ml.interactions
    assert (len(x), x.n_users, x.n_items) == (100_000, 943, 1_682)
    rows = zip(x.users, x.items, x.ratings.astype(int), x.timestamps, strict=True)
    rebuilt = "".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in rows).encode()
    assert hashlib.md5(rebuilt).hexdigest() == "6e47046882bad158b0efbb84cd5cb987"
    assert hashlib.sha256(rebuilt).hexdigest() == ml.sha256
    assert x.ratings.mean() == pytest.approx(3.52986, abs=1e-9)
    assert np.bincount(x.ratings.astype(int))[1:].tolist() == [6110, 11370, 27145, 34174, 21201]


def test_movielens_100k_tables(ml):
    assert ml.users.index.tolist() == list(range(1, 944)) and ml.items.index.tolist() == list(range(1, 1683))
    assert ml.items.loc[50].tolist() == ["Star Wars", 1977, "Action|Adventure|Romance|Sci-Fi|War"]
    assert ml.items.index[ml.items["year"].isna()].tolist() == [267]
    assert ml.items["year"].min() == 1922 and ml.items["year"].max() == 1998
    assert ml.items["genres"].str.get_dummies("|").sum()["Drama"] == 725
    assert ml.users["gender"].value_counts().to_dict() == {"M": 670, "F": 273}
    assert ml.users["occupation"].nunique() == 21 and "none" in set(ml.users["occupation"])
    assert not ml.items.isna().drop(columns="year").any(axis=None) and not ml.users.isna().any(axis=None)


# ---------------------------------------------------------------- the files of the authors of NCF

NCF = {
    "mini.train.rating": "0\t32\t4\t978824330\n0\t34\t4\t978824331\n1\t32\t5\t978300019\n1\t32\t3\t978300020\n",
    "mini.test.rating": "0\t25\t5\t978824351\n1\t133\t3\t978300174\n",
    "mini.test.negative": "(0,25)\t1064\t174\t2791\n(1,133)\t1072\t3154\t3368\n",
}


def lay_ncf(folder: Path, **changes: str | None) -> Path:
    files = NCF | {f"mini.{part.replace('_', '.')}": text for part, text in changes.items()}
    lay(folder, {name: text.encode() for name, text in files.items() if text is not None})
    return folder


@pytest.mark.parametrize("where", ["folder", "prefix", "own folder", "own prefix", "text"])
def test_read_ncf(tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECBOOK_DATA", raising=False)
    folder = lay_ncf(tmp_path / "own" / "Data")
    if where.startswith("own"):
        monkeypatch.setenv("RECBOOK_DATA", str(tmp_path / "own"))
    given = {
        "folder": folder,
        "prefix": folder / "mini",
        "own folder": "Data",
        "own prefix": "Data/mini",
        "text": str(folder / "mini"),
    }
    train, test, candidates = datasets.read_ncf(given[where])
    assert train.to_frame().to_numpy().tolist() == [
        [0, 32, 4, 978824330],
        [0, 34, 4, 978824331],
        [1, 32, 5, 978300019],
        [1, 32, 3, 978300020],  # a repeat stays, as published
    ]
    assert test.to_frame().to_numpy().tolist() == [[0, 25, 5, 978824351], [1, 133, 3, 978300174]]
    assert {user: ids.tolist() for user, ids in candidates.items()} == {
        0: [25, 1064, 174, 2791],
        1: [133, 1072, 3154, 3368],
    }


def test_read_ncf_without_times_and_with_windows_line_ends(tmp_path):
    lay_ncf(
        tmp_path,
        train_rating="0\t32\t1.0\r\n1\t32\t1\r\n",
        test_rating="0\t25\t1\n1\t133\t1\n",
        test_negative="(0,25)\t1\t2\t\n(1,133)\t3",  # a tab at the end of a line
    )
    train, test, candidates = datasets.read_ncf(tmp_path)
    assert train.timestamps is None and train.ratings.tolist() == [1, 1] and train.users.tolist() == [0, 1]
    assert candidates[0].tolist() == [25, 1, 2] and candidates[1].tolist() == [133, 3]


BAD_NCF = {
    "short line": ({"train_rating": "0\t1\t4\t9\n0\t2\t4\n"}, ["mini.train.rating", "line 2", "'0\\t2\\t4'"]),
    "long line": (
        {"train_rating": "0\t1\t4\t9\n0\t2\t4\t9\t9\n"},
        ["mini.train.rating", "line 2", "timestamp"],
    ),
    "words": ({"test_rating": "0\t25\tfive\t9\n"}, ["mini.test.rating", "line 1", "five"]),
    "commas": ({"train_rating": "0,1,4,9\n"}, ["mini.train.rating", "line 1", "tabs"]),
    "empty line": ({"train_rating": "0\t1\t4\t9\n\n0\t2\t4\t9\n"}, ["mini.train.rating", "line 2"]),
    "empty file": ({"train_rating": ""}, ["mini.train.rating", "is empty"]),
    "no brackets": ({"test_negative": "0,25\t7\n"}, ["mini.test.negative", "line 1", "(user,item)"]),
    "no negatives": ({"test_negative": "(0,25)\t7\n(1,133)\n"}, ["mini.test.negative", "line 2"]),
    "negative is a word": ({"test_negative": "(0,25)\t7\tx\n"}, ["mini.test.negative", "line 1"]),
    "another item": (
        {"test_negative": "(0,26)\t7\n(1,133)\t7\n"},
        ["mini.test.negative", "line 1", "(0,26)", "has 25"],
    ),
    "user without a test item": ({"test_negative": "(7,26)\t7\n"}, ["line 1", "user 7", "no item"]),
    "user twice": ({"test_negative": "(0,25)\t7\n(0,25)\t8\n"}, ["line 2", "user 0 stands twice"]),
    "line missing": ({"test_negative": "(0,25)\t7\n"}, ["mini.test.negative", "no line for user 1"]),
    "positive among negatives": ({"test_negative": "(0,25)\t25\n"}, ["line 1", "item 25", "negatives"]),
    "two tests a user": (
        {"test_rating": "0\t25\t5\t9\n0\t26\t5\t9\n"},
        ["mini.test.rating", "line 2", "user 0"],
    ),
    "test in train": (
        {"test_rating": "0\t25\t5\t9\n1\t32\t5\t9\n"},
        ["mini.test.rating", "line 2", "user 1 and item 32", "train"],
    ),
    "file missing": ({"test_negative": None}, ["mini.test.negative is missing", "github.com/hexiangnan"]),
}


@pytest.mark.parametrize("case", BAD_NCF)
def test_read_ncf_names_file_and_line(tmp_path, case):
    changes, parts = BAD_NCF[case]
    with pytest.raises(DataError if case == "file missing" else FileFormatError) as caught:
        datasets.read_ncf(lay_ncf(tmp_path, **changes))
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"


def test_read_ncf_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("RECBOOK_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"neither nowhere\.train\.rating.*RECBOOK_DATA") as caught:
        datasets.read_ncf("nowhere")
    assert str(tmp_path / "nowhere") in str(caught.value)
    lay(lay_ncf(tmp_path), {"other.train.rating": b""})
    with pytest.raises(DataError, match=r"several sets \(mini, other\); name one.*mini"):
        datasets.read_ncf(tmp_path)
    lay(tmp_path, {"mini.test.negative": b"\xff\xfe"})
    with pytest.raises(FileFormatError, match=r"mini\.test\.negative is no text"):
        datasets.read_ncf(tmp_path / "mini")


def test_worlds_can_be_had_here():
    from recbook import worlds

    for name in ("World", *(name for name in vars(worlds) if name.startswith("make_"))):
        assert getattr(datasets, name) is getattr(worlds, name)
