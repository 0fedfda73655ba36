"""Builds small Office documents from the XML that a test is about."""

import zipfile
from pathlib import Path

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_MAIN_TYPE = "application/vnd.openxmlformats-officedocument"
_STYLES = """
<w:style w:styleId="Titre1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="Titre1"/></w:style>
<w:style w:styleId="Loop"><w:name w:val="Loop"/><w:basedOn w:val="Loop"/></w:style>
"""


def write_package(path: Path, parts: dict[str, str | bytes]) -> Path:
    """Write parts as a zip archive with the list of content types that every package has."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def write_docx(
    path: Path, body: str, *, strict: bool = False, parts: dict[str, str] | None = None
) -> Path:
    """Write a Word document with this content of w:body."""
    namespace = _STRICT if strict else _WORD
    content = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"/>',
        "_rels/.rels": _relations("officeDocument", "word/document.xml"),
        "word/_rels/document.xml.rels": _relations("styles", "styles.xml", "footnotes"),
        "word/document.xml": f'<w:document xmlns:w="{namespace}" xmlns:mc="urn:mc">'
        f"<w:body>{body}</w:body></w:document>",
        "word/styles.xml": f'<w:styles xmlns:w="{namespace}">{_STYLES}</w:styles>',
        "word/footnotes.xml": f'<w:footnotes xmlns:w="{namespace}"><w:footnote w:id="2"><w:p><w:r>'
        "<w:t>a footnote</w:t></w:r></w:p></w:footnote></w:footnotes>",
    }
    return write_package(path, {**content, **(parts or {})})


def paragraph(text: str, *, style: str = "", extra: str = "") -> str:
    """Return a paragraph of a Word document."""
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r>{extra}</w:p>"


def write_xlsx(path: Path, rows: str, *, states: tuple[str, ...] = ("visible",)) -> Path:
    """Write a workbook whose sheets, one for each state, all hold these rows."""
    numbers = range(1, len(states) + 1)
    sheets = "".join(
        f'<sheet name="S{number}" sheetId="{number}" state="{state}" r:id="rId{number}"/>'
        for number, state in zip(numbers, states, strict=True)
    )
    links = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/worksheet"'
        f' Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml"'
        f' ContentType="{_MAIN_TYPE}.spreadsheetml.worksheet+xml"/>'
        for number in numbers
    )
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels"'
        f' ContentType="{_MAIN_TYPE}.package.relationships+xml"/><Override'
        f' PartName="/xl/workbook.xml" ContentType="{_MAIN_TYPE}.spreadsheetml.sheet.main+xml"/>'
        f"{types}</Types>",
        "_rels/.rels": _relations("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets>{sheets}'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{links}'
        "</Relationships>",
    }
    for number in numbers:
        parts[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{_SHEET}"><sheetData>{rows}</sheetData></worksheet>'
        )
    return write_package(path, parts)


def cell(reference: str, text: str) -> str:
    """Return a cell that holds text, as in `cell("B2", "two words")`."""
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


def write_numbered_docx(path: Path, body: str, numbering: str, styles: str = "") -> Path:
    """Write a Word document with these definitions of lists and these styles besides its own."""
    links = "".join(
        f'<Relationship Id="n{kind}" Type="{_OFFICE}/{kind}" Target="{kind}.xml"/>'
        for kind in ("styles", "numbering")
    )
    return write_docx(
        path,
        body,
        parts={
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">'
            f"{links}</Relationships>",
            "word/numbering.xml": f'<w:numbering xmlns:w="{_WORD}">{numbering}</w:numbering>',
            "word/styles.xml": f'<w:styles xmlns:w="{_WORD}">{_STYLES}{styles}</w:styles>',
        },
    )


def list_level(depth: int, form: str, text: str, extra: str = "") -> str:
    """Return one level of a list's definition."""
    return (
        f'<w:lvl w:ilvl="{depth}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>{extra}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
    )


def list_item(text: str, number: int, depth: int = 0) -> str:
    """Return a paragraph of a list."""
    return (
        f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{depth}"/><w:numId w:val="{number}"/></w:numPr>'
        f"</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
    )


def _relations(kind: str, target: str, second: str = "") -> str:
    more = f'<Relationship Id="r2" Type="{_OFFICE}/{second}" Target="{second}.xml"/>'
    return (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
        f' Type="{_OFFICE}/{kind}" Target="{target}"/>{more if second else ""}</Relationships>'
    )
