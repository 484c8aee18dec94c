"""The tree between two layouts: fragments of the laid-out tree, and the arcs that join them.

A fragment is a few intervals of positions. The subtree whose potentials a pivot changes is a union of
fragments: a few contiguous additions instead of a walk through a sixth of the nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.pairs.compiled import jit

Ints = NDArray[np.int32]


class FragmentWindow(NamedTuple):
    """Fragments of the layout, and the joints between them."""

    fragment: Ints  # of each position
    head: Ints  # first interval of a fragment, -1: none
    low: Ints  # intervals: from, to, and the next one of the same fragment
    high: Ints
    next: Ints
    one: Ints  # joints: the positions of both ends, their fragments, and whether it is still in the tree
    other: Ints
    fragment_one: Ints
    fragment_other: Ints
    alive: Ints
    first: Ints  # adjacency of the fragments, made anew in each pivot
    link: Ints
    end: Ints
    moved: Ints  # whether a fragment belongs to the subtree
    queue: Ints
    child: Ints  # workspace of the layout
    chain: Ints


def new_window(nodes: int, pivots: int) -> FragmentWindow:
    """Make a window of so many pivots over so many nodes."""

    def ints(size: int) -> Ints:
        return np.zeros(size, np.int32)

    k = pivots + 2  # each pivot adds at most one fragment, two intervals and one joint
    return FragmentWindow(
        fragment=ints(nodes),
        head=ints(k),
        low=ints(2 * k),
        high=ints(2 * k),
        next=ints(2 * k),
        one=ints(k),
        other=ints(k),
        fragment_one=ints(k),
        fragment_other=ints(k),
        alive=ints(k),
        first=ints(k),
        link=ints(2 * k),
        end=ints(2 * k),
        moved=ints(k),
        queue=ints(k),
        child=ints(nodes),
        chain=ints(nodes),
    )


@jit
def reset_window(window):
    """Reset to one fragment without joints: the tree as it was laid out."""
    count = len(window.fragment)
    for p in range(count):
        window.fragment[p] = 0
    window.head[0], window.low[0], window.high[0], window.next[0] = 0, 0, count, -1


@jit
def add_joint(window, joint, one, other):
    """Record an entering arc, by the positions of its ends."""
    window.one[joint], window.other[joint], window.alive[joint] = one, other, 1
    window.fragment_one[joint], window.fragment_other[joint] = window.fragment[one], window.fragment[other]


@jit
def split_fragment(tree, window, out, new, intervals, joints):
    """Split a fragment where an arc of the layout leaves the tree; returns the number of intervals."""
    nodes, place = tree.nodes, tree.place
    parent = nodes[out].parent
    below = out if nodes[out].home == parent else parent  # which of its ends was the lower one
    left, right = place[below], nodes[below].extent
    low, high, after = window.low, window.high, window.next
    old = window.fragment[left]
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
            window.fragment[p] = new
        low[q], high[q], after[q], window.head[new] = inner, outer, window.head[new], q
        if before == -1:
            window.head[old] = following
        else:
            after[before] = following
        for c, e in ((a, inner), (outer, b)):  # the rest on either side
            if c < e:
                low[intervals], high[intervals], after[intervals] = c, e, window.head[old]
                window.head[old] = intervals
                if before == -1:
                    before = intervals
                intervals += 1
        q = following
    _relabel(window.fragment_one, window.one, joints, old, new, left, right)
    _relabel(window.fragment_other, window.other, joints, old, new, left, right)
    return intervals


@jit
def _relabel(fragment, place, joints, old, new, left, right):
    """Set the new fragment at the ends of joints that lie in it."""
    for q in range(joints):
        if fragment[q] == old and left <= place[q] < right:
            fragment[q] = new


@jit
def shift_subtree(tree, window, u, out, shift, fragments, joints):
    """Add ``shift`` to the potentials of the subtree of u, or subtract it from all others."""
    _build_adjacency(window, fragments, joints)
    moved, first, link, end, queue = window.moved, window.first, window.link, window.end, window.queue
    queue[0] = window.fragment[tree.place[u]]
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
    for q in range(fragments):
        if moved[q] == side:
            x = window.head[q]
            while x != -1:
                for p in range(window.low[x], window.high[x]):
                    tree.pi[p] += by
                x = window.next[x]


@jit
def _build_adjacency(window, fragments, joints):
    """Build the adjacency lists of the fragments."""
    first, link, end = window.first, window.link, window.end
    for q in range(fragments):
        first[q], window.moved[q] = -1, 0
    for q in range(joints):
        if window.alive[q]:
            a, b = window.fragment_one[q], window.fragment_other[q]
            end[2 * q], link[2 * q], first[a] = b, first[a], 2 * q
            end[2 * q + 1], link[2 * q + 1], first[b] = a, first[b], 2 * q + 1
