"""Texts into requests: as few as the limits allow; pure.

Longest first, each into the fullest request that still has room (best fit decreasing), which needs
at most 11/9 of the least possible number of requests plus one, and near the least for chunks, that
are short beside a request (Johnson 1974).
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

from index_store.embedder import RequestLimits


def pack(tokens: Sequence[int], limits: RequestLimits) -> list[list[int]]:
    """Share out texts among requests.

    Args:
        tokens: Tokens of each text.
        limits: What one request may hold; a text above the limit of tokens gets one of its own.

    Returns:
        Places of the texts of each request, ascending; every place once.
    """
    room_of: list[int] = []
    requests: list[list[int]] = []
    open_rooms: list[tuple[int, int]] = []  # (room left, request), sorted
    budget = limits.tokens if limits.tokens is not None else max(1, sum(tokens))
    for place in sorted(range(len(tokens)), key=lambda each: (-tokens[each], each)):
        size = min(tokens[place], budget)
        found = bisect_left(open_rooms, (size, -1))
        if found == len(open_rooms):
            room_of.append(budget)
            requests.append([])
            number = len(requests) - 1
        else:
            _, number = open_rooms.pop(found)
        requests[number].append(place)
        room_of[number] -= size
        if len(requests[number]) < limits.texts and room_of[number] > 0:
            insort(open_rooms, (room_of[number], number))
    return [sorted(request) for request in requests]


def least_requests(tokens: Sequence[int], limits: RequestLimits) -> int:
    """Return a lower bound of the number of requests, by tokens and by count."""
    by_count = -(-len(tokens) // limits.texts)
    if limits.tokens is None:
        return by_count
    return max(by_count, -(-sum(min(each, limits.tokens) for each in tokens) // limits.tokens))
