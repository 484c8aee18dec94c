"""The tree between two layouts: pieces of the laid-out one, and the arcs that join them.

A piece is a few intervals of positions. The subtree whose potentials a pivot changes is a union of
pieces: a handful of contiguous additions instead of a walk through a sixth of the nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sparse.compiled import compiled

Ints = NDArray[np.int32]


class Window(NamedTuple):
    """Pieces of the layout, and the joints between them."""

    piece: Ints  # of each position
    head: Ints  # first interval of a piece, -1: none
    low: Ints  # intervals: from, to, and the next one of the same piece
    high: Ints
    next: Ints
    one: Ints  # joints: the positions of both ends, their pieces, and whether it is still in the tree
    other: Ints
    piece_one: Ints
    piece_other: Ints
    alive: Ints
    first: Ints  # adjacency of the pieces, made afresh in each pivot
    link: Ints
    end: Ints
    moved: Ints  # whether a piece belongs to the subtree
    queue: Ints
    child: Ints  # scratch of the layout
    chain: Ints


def new_window(nodes: int, pivots: int) -> Window:
    """Window of so many pivots over so many nodes."""

    def ints(size: int) -> Ints:
        return np.zeros(size, np.int32)

    k = pivots + 2  # each pivot adds at most one piece, two intervals and one joint
    return Window(
        piece=ints(nodes),
        head=ints(k),
        low=ints(2 * k),
        high=ints(2 * k),
        next=ints(2 * k),
        one=ints(k),
        other=ints(k),
        piece_one=ints(k),
        piece_other=ints(k),
        alive=ints(k),
        first=ints(k),
        link=ints(2 * k),
        end=ints(2 * k),
        moved=ints(k),
        queue=ints(k),
        child=ints(nodes),
        chain=ints(nodes),
    )


@compiled
def clear(window):
    """One piece, no joints: the tree as it was laid out."""
    count = len(window.piece)
    for p in range(count):
        window.piece[p] = 0
    window.head[0], window.low[0], window.high[0], window.next[0] = 0, 0, count, -1


@compiled
def add_joint(window, joint, one, other):
    """Note an arc that has entered, by the positions of its ends."""
    window.one[joint], window.other[joint], window.alive[joint] = one, other, 1
    window.piece_one[joint], window.piece_other[joint] = window.piece[one], window.piece[other]


@compiled
def cut(tree, window, out, new, intervals, joints):
    """Split a piece where an arc of the layout leaves the tree; returns the number of intervals."""
    nodes, place = tree.nodes, tree.place
    parent = nodes[out].parent
    below = out if nodes[out].home == parent else parent  # which of its ends was the lower one
    left, right = place[below], nodes[below].extent
    low, high, after = window.low, window.high, window.next
    old = window.piece[left]
    window.head[new] = -1
    before, q = -1, window.head[old]
    while q != -1:
        following = after[q]
        a, b = low[q], high[q]
        inner, outer = max(a, left), min(b, right)
        if inner >= outer:
            before, q = q, following
            continue
        for p in range(inner, outer):
            window.piece[p] = new
        low[q], high[q], after[q], window.head[new] = inner, outer, window.head[new], q
        if before == -1:
            window.head[old] = following
        else:
            after[before] = following
        for c, e in ((a, inner), (outer, b)):  # what stays on either side
            if c < e:
                low[intervals], high[intervals], after[intervals] = c, e, window.head[old]
                window.head[old] = intervals
                if before == -1:
                    before = intervals
                intervals += 1
        q = following
    _relabel(window.piece_one, window.one, joints, old, new, left, right)
    _relabel(window.piece_other, window.other, joints, old, new, left, right)
    return intervals


@compiled
def _relabel(piece, place, joints, old, new, left, right):
    """Note the new piece at the ends of joints that lie in it."""
    for q in range(joints):
        if piece[q] == old and left <= place[q] < right:
            piece[q] = new


@compiled
def move(tree, window, u, out, shift, pieces, joints):
    """Add ``shift`` to the potentials of the subtree that holds u; or take it off all others."""
    _connect(window, pieces, joints)
    moved, first, link, end, queue = window.moved, window.first, window.link, window.end, window.queue
    queue[0] = window.piece[tree.place[u]]
    moved[queue[0]] = 1
    waiting = 1
    while waiting > 0:
        waiting -= 1
        x = first[queue[waiting]]
        while x != -1:
            if moved[end[x]] == 0:
                moved[end[x]] = 1
                queue[waiting] = end[x]
                waiting += 1
            x = link[x]
    flip = 2 * tree.nodes[out].size > len(tree.nodes)
    side, by = (0, -shift) if flip else (1, shift)
    for q in range(pieces):
        if moved[q] == side:
            x = window.head[q]
            while x != -1:
                for p in range(window.low[x], window.high[x]):
                    tree.pi[p] += by
                x = window.next[x]


@compiled
def _connect(window, pieces, joints):
    """Adjacency lists of the pieces."""
    first, link, end = window.first, window.link, window.end
    for q in range(pieces):
        first[q], window.moved[q] = -1, 0
    for q in range(joints):
        if window.alive[q]:
            a, b = window.piece_one[q], window.piece_other[q]
            end[2 * q], link[2 * q], first[a] = b, first[a], 2 * q
            end[2 * q + 1], link[2 * q + 1], first[b] = a, first[b], 2 * q + 1
