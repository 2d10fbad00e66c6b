"""Rows in groups: by layer and function, repeats of one structure together.

Every group is an interval of the order in which ops ran, so that what comes into it was made
before all of it: a drawing in which a group is one box has no cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .scopes import Scope
from .story import Row, Story

MANY = 2000  # rows, of more of which a picture shows only groups
CHUNK = 100  # rows in a group that stands for nothing but "too many to show at once"
_LONGEST_BLOCK = 40  # children of a block whose repeats are found
_HIDDEN = 6  # rows that a collapsed repeat must at least spare the reader


@dataclass(eq=False)
class Group:
    """Rows and groups that belong together."""

    kind: str  # root, function, layer, library, repeat, block, chunk
    label: str
    what: str = ""
    children: list[Row | Group] = field(default_factory=list)
    parent: Group | None = None
    number: int = -1  # among the groups of one tree

    @property
    def times(self) -> int:
        """How often a repeat repeats."""
        return len(self.children) if self.kind == "repeat" else 1

    @property
    def is_open(self) -> bool:
        """Whether it is shown whole to begin with."""
        return self.kind not in ("repeat", "chunk")

    @property
    def title(self) -> str:
        """`0 Linear`, `softmax`, `step ×12`."""
        words = " ".join(part for part in (self.label, self.what) if part)
        return f"{words} ×{self.times}" if self.kind == "repeat" else words

    def rows(self) -> Iterator[Row]:
        stack: list[Row | Group] = [self]
        while stack:
            one = stack.pop()
            if isinstance(one, Group):
                stack.extend(reversed(one.children))
            else:
                yield one

    def groups(self) -> Iterator[Group]:
        """Itself and all below it."""
        stack: list[Group] = [self]
        while stack:
            one = stack.pop()
            yield one
            stack.extend(x for x in reversed(one.children) if isinstance(x, Group))

    def paths(self) -> dict[Row, list[Group]]:
        """Of every row the groups around it, the outermost first."""
        found: dict[Row, list[Group]] = {}
        for group in self.groups():
            chain = [group]
            while chain[-1].parent is not None:
                chain.append(chain[-1].parent)
            found |= {row: chain[::-1] for row in group.children if isinstance(row, Row)}
        return found


def grouped(story: Story, many: int = MANY) -> Group:
    """The rows of a story as a tree."""
    made = [row for row in story.rows if row.kind == "result"]
    root = _by_scope(made)
    for group in list(root.groups()):
        _dissolve(group)
    for group in list(root.groups()):
        group.children = _with_repeats(group.children)
    _own(root)
    _place_sources(root, [row for row in story.rows if row.kind != "result"])
    if len(story.rows) > many:
        for group in list(root.groups()):
            if len(group.children) > 2 * CHUNK and group.kind != "repeat":
                _chunk(group)
    _own(root)
    return root


def _own(root: Group) -> None:
    """Number the groups, and tell children whose they are."""
    for k, group in enumerate(root.groups()):
        group.number = k
        for child in group.children:
            if isinstance(child, Group):
                child.parent = group


def _by_scope(rows: list[Row]) -> Group:
    paths = [row.scope for row in rows]
    shared = 0  # the function that is explained is around everything
    while paths and all(len(p) > shared and p[shared] == paths[0][shared] for p in paths):
        if paths[0][shared].kind != "function":
            break
        shared += 1
    root = Group("root", "")
    open_: list[tuple[Scope | None, Group]] = [(None, root)]
    for row, path in zip(rows, paths, strict=True):
        path = path[shared:]
        depth = 0
        while depth < len(path) and depth + 1 < len(open_) and open_[depth + 1][0] == path[depth]:
            depth += 1
        del open_[depth + 1 :]
        for one in path[depth:]:
            group = Group(one.kind, one.label, one.what)
            open_[-1][1].children.append(group)
            open_.append((one, group))
        open_[-1][1].children.append(row)
    return root


def _dissolve(group: Group) -> None:
    """A group around one thing says nothing that the thing does not."""
    out: list[Row | Group] = []
    todo = group.children[::-1]
    while todo:
        child = todo.pop()
        if isinstance(child, Group) and child.kind == "library" and _is_said(child, group):
            todo += child.children[::-1]
            continue
        while isinstance(child, Group) and len(child.children) == 1:
            only = child.children[0]
            if isinstance(only, Group):  # the outer name, which is nearer to the user
                if child.kind == "layer" == only.kind:
                    child.label = f"{child.label}.{only.label}".strip(".")
                    child.what = only.what
                child.children = only.children
            else:
                child = only
        out.append(child)
    group.children = out


def _is_said(child: Group, group: Group) -> bool:
    """A function that has the name of the layer around it: `linear` in a `Linear`."""
    return child.label.replace("_", "") == group.what.lower()


# Repeats ------------------------------------------------------------------------------------------


def _with_repeats(children: list[Row | Group]) -> list[Row | Group]:
    """Runs of blocks of one structure become one child."""
    sketch = [_sketch(child) for child in children]
    home = {id(row): k for k, child in enumerate(children) for row in _rows(child)}
    needs = [_needs(child, k, home) for k, child in enumerate(children)]
    size = [sum(1 for _ in _rows(child)) for child in children]
    out: list[Row | Group] = []
    k = 0
    while k < len(children):
        period, times = _best(k, sketch, needs)
        if times >= 3 and (times - 1) * sum(size[k : k + period]) >= _HIDDEN:
            out.append(_repeat(children[k : k + period * times], period))
            k += period * times
        else:
            out.append(children[k])
            k += 1
    return out


def _rows(child: Row | Group) -> Iterator[Row]:
    if isinstance(child, Group):
        yield from child.rows()
    else:
        yield child


def _sketch(child: Row | Group) -> tuple:
    """What a child is, but for names and for where its operands come from outside."""
    at = {id(row): k for k, row in enumerate(_rows(child))}
    return tuple(
        (row.op, row.which, row.shape, tuple(at.get(id(x), -1) for x in row.operands))
        for row in _rows(child)
    )


def _needs(child: Row | Group, k: int, home: dict[int, int]) -> tuple[int, ...]:
    """For each operand from outside, how many children before; 0 for what none of them made."""
    return tuple(
        k - home.get(id(x), k)
        for row in _rows(child)
        for x in row.operands
        if isinstance(x, Row) and home.get(id(x)) != k
    )


def _best(start: int, sketch: list[tuple], needs: list[tuple[int, ...]]) -> tuple[int, int]:
    """The period, and how often, of the repeats from here that cover most."""
    best, n = (1, 1), len(sketch)
    for period in range(1, min(_LONGEST_BLOCK, (n - start) // 3) + 1):
        if sketch[start] != sketch[start + period]:
            continue
        end = start + period
        while end < n and sketch[end] == sketch[end - period] and _same(
            needs[end], needs[end - period], (end - start) % period
        ):  # fmt: skip
            end += 1
        times = (end - start) // period
        if times >= 3 and times * period > best[0] * best[1]:
            best = period, times
    return best


def _same(a: tuple[int, ...], b: tuple[int, ...], inside: int) -> bool:
    """Two children at the same place of a block: what they need from the block is the same."""
    return len(a) == len(b) and all(
        x == y or not (0 < x <= inside or 0 < y <= inside) for x, y in zip(a, b, strict=True)
    )


def _repeat(children: list[Row | Group], period: int) -> Group:
    blocks: list[Row | Group] = []
    for k in range(0, len(children), period):
        part = children[k : k + period]
        blocks.append(part[0] if period == 1 else Group("block", f"{k // period + 1}", "", part))
    first = blocks[0]
    if isinstance(first, Group) and first.kind != "block":
        label = first.what or first.label
    else:
        ops = [row.op.name for row in _rows(first) if row.op is not None]
        label = ", ".join(ops[:3]) + (", .." if len(ops) > 3 else "")
    return Group("repeat", label, "", blocks)


# What comes from outside --------------------------------------------------------------------------


def _place_sources(root: Group, sources: list[Row]) -> None:
    """Inputs stand at the top; parameters and constants in the innermost group that has all uses.
    """
    path = root.paths()
    uses: dict[Row, list[Row]] = {}
    for row in path:
        for x in row.operands:
            if isinstance(x, Row):
                uses.setdefault(x, []).append(row)
    into: dict[Group, dict[int, list[Row]]] = {}
    for source in sources:
        chains = [path[row] for row in uses.get(source, ())]
        depth = 1
        if source.kind != "input":
            while all(len(c) > depth and c[depth] is chains[0][depth] for c in chains) and chains:
                depth += 1
        while depth > 1 and chains[0][depth - 1].kind == "repeat":
            depth -= 1  # its children are alike; what all of them use stands outside
        home = chains[0][depth - 1] if chains else root
        first = min((_child(home, c, r) for c, r in zip(chains, uses.get(source, ()))), default=0)
        into.setdefault(home, {}).setdefault(first, []).append(source)
    for group, found in into.items():
        children: list[Row | Group] = []
        for k, child in enumerate(group.children):
            children += [*found.get(k, ()), child]
        group.children = children


def _child(home: Group, chain: list[Group], row: Row) -> int:
    depth = chain.index(home) + 1
    return _index(home)[id(chain[depth] if depth < len(chain) else row)]


def _index(group: Group) -> dict[int, int]:
    if group.__dict__.get("_at") is None or len(group.__dict__["_at"]) != len(group.children):
        group.__dict__["_at"] = {id(child): k for k, child in enumerate(group.children)}
    return group.__dict__["_at"]


def _chunk(group: Group) -> None:
    """Too many children to show: every hundred of them in a group."""
    parts = []
    for k in range(0, len(group.children), CHUNK):
        part = group.children[k : k + CHUNK]
        rows = [row.number for child in part for row in _rows(child)]
        parts.append(Group("chunk", f"{min(rows) + 1}-{max(rows) + 1}", "", part))
    group.children = parts
