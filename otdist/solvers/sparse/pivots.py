"""Pivots of the network simplex, a window of them at a time.

At the start of a window the tree is laid out in preorder, and potentials are stored by position.
Each pivot removes one arc of the tree and adds one, so the tree of the moment consists of
*pieces* of the laid-out one, a few intervals of positions each, joined by the arcs that entered
(*joints*). The subtree whose potentials change is a union of pieces: a handful of contiguous
additions instead of a walk through a sixth of the nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otdist.solvers.sparse.compiled import compiled
from otdist.solvers.sparse.tree import lay_out

Ints = NDArray[np.int32]
ALL = np.iinfo(np.int64).max


class Window(NamedTuple):
    """Pieces of the layout, and the joints between them."""

    piece: Ints  # of each position
    head: Ints  # first interval of a piece, -1: none
    low: Ints  # intervals: from, to, and the next one of the same piece
    high: Ints
    next: Ints
    one: Ints  # joints: the nodes at both ends, and whether it is still in the tree
    other: Ints
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
def run(tree, window, n, source, sink, cost, count, cursor, block, tol, pivots):
    """Pivot until the window is full or no arc of the first ``count`` has a reduced cost < -tol.

    Returns the number of pivots, and where the search for the next arc starts: -1 when none is left.
    """
    lay_out(tree, n, cost, window.child, window.chain)
    window.piece[:] = 0
    window.head[0], window.low[0], window.high[0], window.next[0] = 0, 0, len(tree.nodes), -1
    pieces, intervals = 1, 1
    for done in range(pivots):
        arc, cursor = entering(tree, source, sink, cost, count, cursor, block, tol)
        if arc < 0:
            return done, -1
        s, t = source[arc], sink[arc]
        join, out, flow, by_source = leaving(tree.nodes, n, s, t)
        push(tree.nodes, n, s, t, join, flow)
        u, v = (s, t) if by_source else (t, s)  # the subtree of `out` will hang from v by u
        pi_u, pi_v = tree.pi[tree.place[u]], tree.pi[tree.place[v]]
        shift = pi_v - cost[arc] - pi_u if by_source else pi_v + cost[arc] - pi_u
        joint = tree.nodes[out].joint
        if joint >= 0:
            window.alive[joint] = 0
        else:
            intervals = cut(tree, window, out, pieces, intervals)
            pieces += 1
        move(tree, window, u, out, shift, pieces, done)
        window.one[done], window.other[done], window.alive[done] = s, t, 1
        rehang(tree.nodes, u, v, out, join, arc, flow, done)
    return pivots, cursor


@compiled
def entering(tree, source, sink, cost, count, cursor, block, tol):
    """Block search: the smallest reduced cost of the first block of arcs that has one < -tol."""
    place, pi = tree.place, tree.pi
    best, arc = -tol, -1
    seen = 0
    if cursor >= count:
        cursor = 0
    while seen < count:
        stop = min(cursor + block, count)
        for e in range(cursor, stop):
            r = cost[e] + pi[place[source[e]]] - pi[place[sink[e]]]
            if r < best:  # arcs of the tree have r = 0 but for rounding: they need no mark
                best, arc = r, e
        seen += stop - cursor
        cursor = stop if stop < count else 0
        if arc >= 0:
            break
    return arc, cursor


@compiled
def leaving(nodes, n, s, t):
    """Where the paths from s and t meet, and which arc of the cycle runs empty first.

    Of several, the last one seen from the meeting point along the cycle: then all empty arcs
    of the tree lead to the root (it is strongly feasible), and the method cannot cycle
    (Cunningham 1976). Returns (join, lower node of the arc, its flow, whether on the path from s).
    """
    root = len(nodes) - 1
    flow_s, flow_t = ALL, ALL
    out_s = out_t = -1
    u, v = s, t
    while u != v:
        if v == root or (u != root and nodes[u].size <= nodes[v].size):
            # Downwards on this side: arcs that lead upwards lose flow, those of sources and connectors.
            if (u < n or nodes[u].parent == root) and nodes[u].flow < flow_s:
                flow_s, out_s = nodes[u].flow, u
            u = nodes[u].parent
        else:
            if v >= n and nodes[v].parent != root and nodes[v].flow <= flow_t:
                flow_t, out_t = nodes[v].flow, v
            v = nodes[v].parent
    if flow_t <= flow_s:
        return u, out_t, flow_t, False
    return u, out_s, flow_s, True


@compiled
def push(nodes, n, s, t, join, flow):
    """Send flow around the cycle."""
    if flow == 0:
        return
    root = len(nodes) - 1
    u = s
    while u != join:
        nodes[u].flow += -flow if (u < n or nodes[u].parent == root) else flow
        u = nodes[u].parent
    u = t
    while u != join:
        nodes[u].flow += flow if (u < n or nodes[u].parent == root) else -flow
        u = nodes[u].parent


@compiled
def cut(tree, window, out, new, intervals):
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
        window.piece[inner:outer] = new
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
    return intervals


@compiled
def move(tree, window, u, out, shift, pieces, joints):
    """Add ``shift`` to the potentials of the subtree that holds u; or take it off all others."""
    _connect(tree.place, window, pieces, joints)
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
                tree.pi[window.low[x] : window.high[x]] += by
                x = window.next[x]


@compiled
def _connect(place, window, pieces, joints):
    """Adjacency lists of the pieces."""
    first, link, end = window.first, window.link, window.end
    first[:pieces] = -1
    window.moved[:pieces] = 0
    for q in range(joints):
        if window.alive[q]:
            a, b = window.piece[place[window.one[q]]], window.piece[place[window.other[q]]]
            end[2 * q], link[2 * q], first[a] = b, first[a], 2 * q
            end[2 * q + 1], link[2 * q + 1], first[b] = a, first[b], 2 * q + 1


@compiled
def rehang(nodes, u, v, out, join, arc, flow, joint):
    """Make u the top of the subtree of ``out``, and hang it under v by the entering arc."""
    size = nodes[out].size
    w = nodes[out].parent
    while w != join:
        nodes[w].size -= size
        w = nodes[w].parent
    w = v
    while w != join:
        nodes[w].size += size
        w = nodes[w].parent
    above, inner = v, 0
    while True:
        node = nodes[u]
        parent, old_arc, old_flow, old_joint, old_size = (
            node.parent,
            node.arc,
            node.flow,
            node.joint,
            node.size,
        )
        node.parent, node.arc, node.flow, node.joint = above, arc, flow, joint
        node.size = size - inner
        if u == out:
            return
        inner = old_size
        above, arc, flow, joint = u, old_arc, old_flow, old_joint
        u = parent
