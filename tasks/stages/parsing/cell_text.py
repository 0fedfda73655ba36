"""How the value of a cell is written as a person sees it."""

from datetime import date, datetime, time, timedelta

_LAST_EXACT = 2**53
"""Up to here every whole number is a float."""

CellValue = str | float | int | bool | date | datetime | time | timedelta | None


def cell_text(value: CellValue) -> str:
    """Return the text of a cell: whole numbers without a point, dates in ISO form."""
    match value:
        case str():
            text = value
        case bool():
            text = "TRUE" if value else "FALSE"
        case int():
            text = str(value)
        case float():
            text = _number(value)
        case datetime():
            midnight = value.time() == time.min
            text = value.date().isoformat() if midnight else value.isoformat(" ", "seconds")
        case date():
            text = value.isoformat()
        case time():
            text = value.isoformat("seconds")
        case timedelta():
            text = _duration(value)
        case _:
            text = ""
    return text


def _number(value: float) -> str:
    if value.is_integer() and abs(value) <= _LAST_EXACT:
        return str(int(value))
    return f"{value:.15g}"  # a spreadsheet shows 0.1 + 0.2 as 0.3


def _duration(value: timedelta) -> str:
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
