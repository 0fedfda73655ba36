"""What happens to a collection in an ordinary night, ten kinds of it; no gate may mind."""

import shutil
from pathlib import Path

from tests.support.planted_nights import Place, english, french
from tests.support.small_sources import BROKEN_PDF, touch, write


def ordinary_night(place: Place, night: int) -> str:
    """Do what people do in a day, nothing that golden questions are about; say what it is."""
    day = DAYS[night % len(DAYS)]
    day(place.source, night)
    return day.__name__.replace("_", " ")


def an_import(source: Path, night: int) -> None:
    for number in range(25):
        write(source / f"project-{night}" / f"{number}.txt", english(f"bridge{night}", number))


def corrections(source: Path, night: int) -> None:
    for number in (2, 3, 4):
        path = source / "finance" / f"{number:02}.txt"
        write(path, path.read_text() + f"\n\nCorrected in night {night}, see the annex.")


def drafts(source: Path, night: int) -> None:
    for number in range(4):
        write(source / "drafts" / f"{night}-{number}.txt", english("drafts", number))


def drafts_cleared(source: Path, night: int) -> None:
    assert night
    shutil.rmtree(source / "drafts")


def a_folder_renamed(source: Path, night: int) -> None:
    (source / f"project-{night - 4}").rename(source / f"bridges-{night}")


def broken_among_good(source: Path, night: int) -> None:
    for number in range(3):
        write(source / "inbox" / f"{night}-{number}.pdf", BROKEN_PDF + bytes([night, number]))
    for number in range(9):
        write(source / "inbox" / f"{night}-{number}.txt", english("inbox", night + number))


def copies_of_a_form(source: Path, night: int) -> None:
    for number in range(5):
        write(source / "forms" / f"{night}-{number}.txt", english("forms", 1))


def a_few_translated(source: Path, night: int) -> None:
    for number in (7, 8):
        write(source / "legal" / f"{number:02}.txt", french("legal", night + number))


def everything_touched(source: Path, night: int) -> None:
    for path in sorted(source.rglob("*.txt")):
        touch(path)
    write(source / "inbox" / f"touched-{night}.txt", english("touched", night))


def a_few_retired(source: Path, night: int) -> None:
    for path in sorted((source / f"bridges-{night - 5}").glob("*.txt"))[:5]:
        path.unlink()


DAYS = (
    an_import,
    corrections,
    drafts,
    drafts_cleared,
    a_folder_renamed,
    broken_among_good,
    copies_of_a_form,
    a_few_translated,
    everything_touched,
    a_few_retired,
)
