import os
import socket
from contextlib import nullcontext
from pathlib import Path

import pytest

from index_store.errors import StoppedError, UsageError
from tasks.stages.listing import ScanOptions, Source, parse_sources
from tasks.stages.scanning import hash_files, scan

OPTIONS = ScanOptions(extensions=frozenset({".txt", ".md", ".pdf"}))


def write(root: Path, name: str, text: str = "text") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def uris(root: Path, options: ScanOptions = OPTIONS) -> list[str]:
    return [file.uri for file in scan([Source(root=root)], options).files]


def test_files_are_listed_by_relative_path_in_order(tmp_path: Path):
    for name in ("b/z.txt", "a/y.MD", "c.Pdf", "d.exe"):
        write(tmp_path, name)
    listing = scan([Source(root=tmp_path)], OPTIONS)
    assert [file.uri for file in listing.files] == ["a/y.MD", "b/z.txt", "c.Pdf"]
    assert listing.ignored == 1


def test_several_sources_are_told_apart_by_label(tmp_path: Path):
    write(tmp_path, "one/a.txt")
    write(tmp_path, "two/a.txt")
    sources = parse_sources([str(tmp_path / "one"), f"other={tmp_path / 'two'}"])
    assert [file.uri for file in scan(sources, OPTIONS).files] == ["one/a.txt", "other/a.txt"]


def test_two_sources_of_one_name_are_a_users_mistake(tmp_path: Path):
    with pytest.raises(UsageError, match="two sources are named 'x'"):
        parse_sources([f"x={tmp_path}", f"x={tmp_path / 'b'}"])


def test_link_cycles_are_entered_once(tmp_path: Path):
    write(tmp_path, "a/one.txt")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a")
    assert uris(tmp_path) == ["a/one.txt"]


def test_linked_file_is_listed_once_under_its_real_name(tmp_path: Path):
    write(tmp_path, "z.txt")
    (tmp_path / "a.txt").symlink_to(tmp_path / "z.txt")
    assert uris(tmp_path) == ["z.txt"]


def test_link_out_of_the_root_is_followed_only_when_allowed(tmp_path: Path):
    outside = write(tmp_path, "outside/secret.txt")
    root = tmp_path / "root"
    write(root, "in.txt")
    (root / "link.txt").symlink_to(outside)
    (root / "folder").symlink_to(outside.parent)
    listing = scan([Source(root=root)], OPTIONS)
    assert [file.uri for file in listing.files] == ["in.txt"]
    assert {entry.reason for entry in listing.skipped} == {"link leads outside the source"}
    allowed = ScanOptions(extensions=OPTIONS.extensions, allow_outside_root=True)
    # One inode, two ways to it: it is listed once, under the first name in order.
    assert uris(root, allowed) == ["folder/secret.txt", "in.txt"]


def test_what_is_not_a_regular_file_is_skipped_with_a_reason(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "sock.txt"))
        (tmp_path / "broken.txt").symlink_to(tmp_path / "nowhere.txt")
        listing = scan([Source(root=tmp_path)], OPTIONS)
    assert listing.files == ()
    assert {(entry.uri, entry.reason.split(":")[0]) for entry in listing.skipped} == {
        ("pipe.txt", "named pipe"),
        ("sock.txt", "socket"),
        ("broken.txt", "broken link"),
    }


def test_strange_names_survive(tmp_path: Path):
    write(tmp_path, "new\nline.txt")
    write(tmp_path, "émoji 🦊.txt")
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"latin")
    listing = scan([Source(root=tmp_path)], OPTIONS)
    assert [file.uri for file in listing.files] == ["caf%E9.txt", "new\nline.txt", "émoji 🦊.txt"]
    assert all(hash_files([file.path for file in listing.files]))


@pytest.mark.parametrize("name", ["missing", "file.txt"])
def test_a_root_that_cannot_be_listed_is_never_an_empty_source(tmp_path: Path, name: str):
    write(tmp_path, "file.txt")
    with pytest.raises(StoppedError, match="source"):
        scan([Source(root=tmp_path / name)], OPTIONS)


def test_a_folder_that_fails_while_it_is_listed_stops_the_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path, "good/a.txt")
    write(tmp_path, "bad/b.txt")
    real = os.scandir

    def failing(path: str):
        if str(path).endswith("bad"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    # Root may read everything, so the refusal of the operating system has to be put in its place.
    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(StoppedError, match="incomplete: Permission denied; make it readable"):
        uris(tmp_path)


def test_globs_choose_within_the_extensions(tmp_path: Path):
    for name in ("a/keep.txt", "a/~$lock.txt", "b/deep/x.txt", "b/y.md"):
        write(tmp_path, name)
    options = ScanOptions(
        extensions=OPTIONS.extensions, include=("*.txt", "b/*.md"), exclude=("~$*", "b/deep/**")
    )
    assert uris(tmp_path, options) == ["a/keep.txt", "b/y.md"]


def test_hash_of_a_vanished_file_is_none(tmp_path: Path):
    path = write(tmp_path, "a.txt", "hello")
    known = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert hash_files([str(path), str(tmp_path / "gone.txt")]) == [known, None]


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_that_is_not_utf8_never_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: int
):
    real = write(tmp_path, "caf%E9.txt")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w") as stream:  # noqa: PTH123
        stream.write("text")
    listed = sorted(os.scandir(tmp_path), key=lambda entry: entry.name)[::order]
    monkeypatch.setattr(os, "scandir", lambda _: nullcontext(listed))
    listing = scan([Source(root=tmp_path)], OPTIONS)
    assert [file.path for file in listing.files] == [str(real)]
    (skipped,) = listing.skipped
    assert skipped.reason == "a name that is not UTF-8 reads like another"
