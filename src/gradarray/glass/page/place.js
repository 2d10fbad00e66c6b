// Coordinates for layers, as in gradarray/glass/place.py: positions in an order that is kept,
// edges as straight as can be.

const KINDS = ['row', 'group', 'in', 'out', 'label', 'via'];

/** Items of a group with their neighbours, from what layout.py wrote. */
function readLevel(told) {
  const items = told.items.map(([kind, of, w, h, above, use, text]) => (
    {kind: KINDS[kind], of, w, h, use, text, above, below: [], near: [[], []], x: 0, y: 0}));
  for (const item of items) {
    item.above = item.above.map((k) => items[k]);
    for (const one of item.above) one.below.push(item);
  }
  return {items, layers: told.layers.map((layer) => layer.map((k) => items[k]))};
}

/** Lays out a group and the open ones within it. `view` tells what is open and shown, and sizes. */
function place(number, view) {
  const level = view.levels[number];
  const layers = level.layers.map((layer) => layer.filter(view.shows));
  for (const layer of layers) {
    for (const item of layer) {
      item.near = [item.above.filter(view.shows), item.below.filter(view.shows)];
      item.inner = item.kind === 'group' && view.isOpen(item.of) ? place(item.of, view) : null;
      [item.W, item.H] = item.inner ? [item.inner.width, item.inner.height] : view.size(item);
    }
  }
  const placed = {number, layers, width: 0, height: 0};
  across(placed, view.measures);
  down(placed, view.measures, number === 0);
  return placed;
}

function across(placed, m) {
  const {layers} = placed;
  for (const layer of layers) {
    let at = 0;
    for (const item of layer) {
      item.x = at + item.W / 2;
      at += item.W + m.gap;
    }
  }
  for (let sweep = 0; sweep < m.sweeps; sweep++) {
    const up = sweep % 2;
    for (const layer of up ? [...layers].reverse() : layers) {
      const near = layer.map((item) => alongside(item, up));
      const wish = layer.map((item, k) => near[k].length ? mean(near[k]) : item.x);
      settle(layer, wish, layer.map((item, k) => near[k].length ? stiffness(item) : 0.1), m);
    }
  }
  const hasBody = (item) => item.kind === 'row' || item.kind === 'group';
  for (const layer of layers) {
    const wish = layer.map((item) => hasBody(item) ? item.x : between(item));
    settle(layer, wish, layer.map((item) => hasBody(item) ? 1e6 : stiffness(item)), m);
  }
  let left = Infinity, right = -Infinity;
  for (const item of layers.flat()) {
    left = Math.min(left, item.x - item.W / 2);
    right = Math.max(right, item.x + item.W / 2);
  }
  if (left > right) left = right = 0;
  for (const item of layers.flat()) item.x += m.pad - left;
  placed.width = right - left + 2 * m.pad;
}

function alongside(item, up) {
  const near = item.near[up];
  if (item.kind !== 'via') return near;
  const trunk = near.filter((one) => one.kind === 'via');
  return trunk.length ? trunk : near;
}

function isBranch(item) {
  const from = item.kind === 'label' && item.above[0].kind;
  return from === 'via' || from === 'in';
}

function stiffness(item) {
  if (item.kind === 'label') return isBranch(item) ? 0.05 : 2;
  return item.kind === 'via' ? 1000 : 1;
}

function mean(near) {
  let total = 0, weights = 0;
  for (const item of near) {
    const weight = isBranch(item) ? 0.05 : 1;
    total += weight * item.x;
    weights += weight;
  }
  return total / weights;
}

/** How far from the middle of an item the edge of a value enters ('in') or leaves it ('out'). */
function port(item, of, side) {
  const {inner} = item;
  if (!inner) return 0;
  const layer = inner.layers[side === 'in' ? 0 : inner.layers.length - 1];
  const found = layer.find((one) => one.kind === side && one.of === of);
  return found ? found.x - inner.width / 2 : 0;
}

function between(item) {
  const [above, below] = item.near;
  if (item.kind === 'via' && [...above, ...below].some((o) => o.kind === 'via')) return item.x;
  let total = 0;
  for (const one of above) total += one.x + port(one, item.of, 'out');
  for (const one of below) total += one.x + port(one, item.of, 'in');
  return total / (above.length + below.length);
}

/** The nearest places to the wished ones that lie far enough apart. */
function settle(layer, wish, weight, m) {
  const offset = [0];
  for (let k = 1; k < layer.length; k++) {
    const a = layer[k - 1], b = layer[k];
    const close = a.kind === 'via' && b.kind === 'via' ? 0.4 : 1;
    offset.push(offset[k - 1] + (a.W + b.W) / 2 + m.gap * close);
  }
  const blocks = [];
  for (let k = 0; k < layer.length; k++) {
    blocks.push([wish[k] - offset[k], weight[k], 1]);
    while (blocks.length > 1 && blocks.at(-2)[0] >= blocks.at(-1)[0]) {
      const [x, w, n] = blocks.pop(), last = blocks.at(-1);
      last[0] = (last[0] * last[1] + x * w) / (last[1] + w);
      last[1] += w;
      last[2] += n;
    }
  }
  let k = 0;
  for (const [x, , n] of blocks) for (let i = 0; i < n; i++, k++) layer[k].x = x + offset[k];
}

function down(placed, m, isRoot) {
  const {layers} = placed;
  let at = isRoot ? m.pad : m.head;
  layers.forEach((layer, k) => {
    const high = layer.reduce((most, item) => Math.max(most, item.H), 0);
    for (const item of layer) {
      item.y = at + high / 2;
      if (item.kind === 'via') item.H = high;
    }
    at += high;
    if (layer.length && k + 1 < layers.length) at += lead(layer, m);
  });
  placed.height = at + (isRoot ? m.pad : m.pad / 2);
  for (const item of layers.flat()) {
    if (item.kind === 'in') item.y = 0;
    if (item.kind === 'out') item.y = placed.height;
  }
}

function lead(layer, m) {
  let far = 0;
  for (const item of layer) {
    for (const end of item.near[1]) {
      const of = item.kind === 'group' ? end.of : item.of;
      far = Math.max(far, Math.abs(
        item.x + port(item, of, 'out') - end.x - port(end, of, 'in')));
    }
  }
  return Math.min(Math.max(m.lead, far / 6), m.mostLead);
}
