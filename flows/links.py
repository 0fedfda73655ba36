"""From settings to the options of links."""

from pathlib import Path

from flows.settings import Settings
from index_store.errors import UsageError
from retriever.links import LinkOptions
from tasks.stages.listing import parse_sources


def link_options(settings: Settings) -> LinkOptions:
    """Return how hits are linked.

    Args:
        settings: What the person set. Without `docs_root_dir` the source itself is what is served;
            several sources are linked below their names.

    Raises:
        UsageError: `files_host` is no http address.
    """
    base = settings.files_host
    if not base:
        return LinkOptions()
    if not base.startswith(("http://", "https://")):
        raise UsageError(f"setting 'files_host': expected http:// or https://, found {base!r}")
    if not settings.docs_root_dir or not settings.source:
        return LinkOptions(base_url=base)
    sources = parse_sources(settings.source)
    served = Path(settings.docs_root_dir).resolve()
    prefixes = {
        source.label: _prefix(source.root.resolve(), served)
        for source in sources
        if not source.url and source.root.resolve().is_relative_to(served)
    }
    if not prefixes:
        return LinkOptions()
    if len(sources) == 1:
        return LinkOptions(base_url=base, prefix=prefixes[sources[0].label])
    return LinkOptions(base_url=base, prefixes=prefixes)


def _prefix(root: Path, served: Path) -> str:
    path = root.relative_to(served).as_posix()
    return "" if path == "." else path
