"""Slow second implementations in plain Python, sharing no code with the package."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any


@dataclass
class Topology:
    """What `count_topology` found."""

    euler: int
    components: int
    """Parts joined through shared vertices."""
    sheets: int
    """Parts joined across shared edges."""
    loops: int
    nonmanifold_edges: int
    nonmanifold_vertices: int
    agreeing: bool
    """No directed edge occurs twice: neighbours agree on the outside."""


def count_topology(faces: Any) -> Topology:
    """Count by dictionaries and sets; loops are right where every border vertex has two border
    edges.
    """
    faces = [tuple(map(int, face)) for face in faces]
    directed: Counter[tuple[int, int]] = Counter()
    users: dict[tuple[int, int], list[int]] = defaultdict(list)
    around: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for f, (a, b, c) in enumerate(faces):
        for p, q, r in ((a, b, c), (b, c, a), (c, a, b)):
            directed[p, q] += 1
            users[min(p, q), max(p, q)].append(f)
            around[r].append((p, q))
    border = [edge for edge, fs in users.items() if len(fs) == 1]
    return Topology(
        euler=len(around) - len(users) + len(faces),
        components=_parts(around, faces),
        sheets=_parts(range(len(faces)), users.values()),
        loops=_parts({v for e in border for v in e}, border),
        nonmanifold_edges=sum(len(fs) > 2 for fs in users.values()),
        nonmanifold_vertices=sum(not _is_fan(links) for links in around.values()),
        agreeing=max(directed.values()) == 1,
    )


def _parts(items: Any, groups: Any) -> int:
    """Number of connected parts of the items, joined within each group."""
    parent = {item: item for item in items}

    def root(item: Any) -> Any:
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    for group in groups:
        for other in group:
            parent[root(other)] = root(group[0])
    return sum(parent[item] == item for item in parent)


def _is_fan(links: list[tuple[int, int]]) -> bool:
    """Whether the edges opposite a vertex form one path or one cycle."""
    degree = Counter(v for link in links for v in link)
    return max(degree.values()) <= 2 and _parts(degree, links) == 1
