"""A chunk with its neighbours joined, so that a reader sees what stands around it; pure.

Neighbouring chunks repeat the end of the one before; what is repeated is shown once.
"""

from index_store.open_shard import OpenShard

LONGEST_OVERLAP = 2000  # characters; chunks overlap by a tenth of their length
SHORTEST_OVERLAP = 12  # less than this is the same by chance


def joined_context(shard: OpenShard, row: int, neighbours: int) -> str:
    """Return the text of a row and of up to `neighbours` rows of its document on either side."""
    document = shard.rows_of(shard.place_of(row))
    start = max(document.start, row - neighbours)
    end = min(document.stop, row + neighbours + 1)
    live = [each for each in range(start, end) if shard.reader.live[each]]
    text = ""
    for each in live:
        text = join_texts(text, shard.chunks.text(each))
    return text


def join_texts(before: str, after: str) -> str:
    """Return two texts as one; what the second repeats of the end of the first is left out."""
    if not before:
        return after
    longest = min(len(before), len(after), LONGEST_OVERLAP)
    head = after[:SHORTEST_OVERLAP]
    place = before.find(head, len(before) - longest) if len(head) == SHORTEST_OVERLAP else -1
    while place >= 0:
        if after.startswith(before[place:]):
            return before + after[len(before) - place :]
        place = before.find(head, place + 1)
    return f"{before}\n{after}"
