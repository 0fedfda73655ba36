"""Texts into requests: as few as the limits allow; pure.

Two ways are tried and the better one taken. Longest first, each into the fullest request that still
has room (best fit decreasing, at most 11/9 of the least plus one, Johnson 1974): fills requests of
long texts to the brim. Longest first, each into the emptiest of the least possible number of
requests (Graham 1969): puts short texts beside long ones, so that neither the count nor the tokens
of a request run out long before the other.
"""

import heapq
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
    if not tokens:
        return []
    budget = limits.tokens if limits.tokens is not None else max(1, sum(tokens))
    sizes = [min(size, budget) for size in tokens]
    longest_first = sorted(range(len(sizes)), key=lambda each: (-sizes[each], each))
    fullest = _into_the_fullest(longest_first, sizes, budget, limits.texts)
    least = least_requests(tokens, limits)
    if len(fullest) > least:
        emptiest = _into_the_emptiest(longest_first, sizes, budget, limits.texts, least)
        fullest = min(fullest, emptiest, key=len)
    return [sorted(request) for request in fullest]


def least_requests(tokens: Sequence[int], limits: RequestLimits) -> int:
    """Return a lower bound of the number of requests, by tokens and by count."""
    by_count = -(-len(tokens) // limits.texts)
    if limits.tokens is None:
        return by_count
    return max(by_count, -(-sum(min(each, limits.tokens) for each in tokens) // limits.tokens))


def _into_the_fullest(
    order: Sequence[int], sizes: Sequence[int], budget: int, texts: int
) -> list[list[int]]:
    room_of: list[int] = []
    requests: list[list[int]] = []
    open_rooms: list[tuple[int, int]] = []  # (room left, request), sorted
    for place in order:
        found = bisect_left(open_rooms, (sizes[place], -1))
        if found == len(open_rooms):
            room_of.append(budget)
            requests.append([])
            number = len(requests) - 1
        else:
            _, number = open_rooms.pop(found)
        requests[number].append(place)
        room_of[number] -= sizes[place]
        if len(requests[number]) < texts and room_of[number] > 0:
            insort(open_rooms, (room_of[number], number))
    return requests


def _into_the_emptiest(
    order: Sequence[int], sizes: Sequence[int], budget: int, texts: int, count: int
) -> list[list[int]]:
    requests: list[list[int]] = [[] for _ in range(count)]
    emptiest = [(0, number) for number in range(count)]  # (tokens, request), a heap
    for place in order:
        if not emptiest or emptiest[0][0] + sizes[place] > budget:
            held, number = 0, len(requests)
            requests.append([])
        else:
            held, number = heapq.heappop(emptiest)
        requests[number].append(place)
        if len(requests[number]) < texts:
            heapq.heappush(emptiest, (held + sizes[place], number))
    return [request for request in requests if request]
