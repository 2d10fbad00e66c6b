// The drawing: cards, groups and edges as SVG elements, found again by row.

const SVG = 'http://www.w3.org/2000/svg';
const LINE = 17;

function shape(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const round = (x) => Math.round(x * 10) / 10;

// A drawing may be very high. It is cut into bands, of which the browser is given those near to what
// is seen; what is higher than a band lies behind all of them.
const BAND = 1500;

class Bands {
  constructor(height) {
    this.back = shape('g', {});
    this.bands = Array.from({length: Math.floor(height / BAND) + 1}, () => shape('g', {}));
    this.root = shape('g', {}, this.back, ...this.bands);
    this.seen = [0, this.bands.length - 1];
  }

  put(element, top, bottom) {
    const band = bottom - top > BAND ? this.back : this.bands[Math.floor(Math.max(top, 0) / BAND)];
    (band || this.back).append(element);
  }

  /** Shows the bands near to these heights. */
  show(top, bottom) {
    const last = this.bands.length - 1;
    const first = Math.max(0, Math.floor(top / BAND) - 1);
    const end = Math.min(last, Math.floor(bottom / BAND) + 1);
    if (first === this.seen[0] && end === this.seen[1]) return;
    for (let k = 0; k <= last; k++) {
      const was = k >= this.seen[0] && k <= this.seen[1], is = k >= first && k <= end;
      if (was && !is) this.bands[k].setAttribute('display', 'none');
      if (is && !was) this.bands[k].removeAttribute('display');
    }
    this.seen = [first, end];
  }
}

/** Draws what `place` laid out; gives elements by row and by group, and edges by value and use. */
function draw(placed, view) {
  const drawn = {
    nodes: new Map(), groups: new Map(), of: new Map(), into: new Map(), at: new Map(),
    users: new Map(),
    bands: new Bands(placed.height),
  };
  drawLevel(placed, 0, 0, view, drawn);
  return drawn;
}

function drawLevel(placed, left, top, view, drawn) {
  const put = (element, y, height) => drawn.bands.put(element, y, y + height);
  const items = placed.layers.flat();
  for (const item of items) drawEdges(item, left, top, view, drawn);
  for (const item of items) {
    const x = left + item.x - item.W / 2, y = top + item.y - item.H / 2;
    if (item.inner) {
      const [box, handle] = groupBox(item, x, y, view, drawn);
      put(box, y, item.H);
      drawLevel(item.inner, x, y, view, drawn);
      put(handle, y, 24);
    } else if (item.kind === 'group') {
      put(closedGroup(item, x, y, view, drawn), y, item.H);
    } else if (item.kind === 'row') {
      put(card(item, x, y, view, drawn), y, item.H);
    } else if (item.kind === 'label' && item.text) {
      const label = shape('text', {
        class: 'label', x: round(left + item.x), y: round(top + item.y + 3.5),
        'text-anchor': 'middle',
      }, view.tells(item) ? item.text : '?');
      put(label, y, item.H);
      remember(drawn, label, item.of, item.use ? [item.use[0]] : []);
    }
  }
}

function groupBox(item, x, y, view, drawn) {
  const group = view.groups[item.of];
  const box = shape('rect', {
    class: `box ${group.kind}`, x: round(x), y: round(y), width: round(item.W),
    height: round(item.H), rx: 8});
  const handle = shape('g', {
    class: 'handle', role: 'button', tabindex: 0, 'data-group': item.of,
    'aria-expanded': 'true', 'aria-label': group.title,
    transform: `translate(${round(x)} ${round(y)})`,
  }, shape('rect', {class: 'hit', width: Math.max(44, group.title.length * 7.5 + 26), height: 24}),
  shape('path', {class: 'sign', d: 'M9 9.5l3.5 4 3.5-4'}),
  shape('text', {x: 21, y: 16}, group.title));
  drawn.groups.set(item.of, handle);
  return [box, handle];
}

function closedGroup(item, x, y, view, drawn) {
  const group = view.groups[item.of];
  const [w, h] = [item.W - 6, item.H - 6];
  const element = shape('g', {
    class: `node stack ${group.kind}`, role: 'button', tabindex: 0, 'data-group': item.of,
    'aria-expanded': 'false', 'aria-label': `${group.lines.join(', ')}`,
    transform: `translate(${round(x)} ${round(y)})`,
  });
  for (const k of [6, 3, 0]) {
    element.append(shape('rect', {
      class: 'card', x: k, y: k, width: round(w), height: round(h), rx: 6}));
  }
  element.append(shape('path', {class: 'sign', d: 'M11 12.5l4 3.5-4 3.5'}));
  group.lines.forEach((line, k) => element.append(shape('text', {
    class: k ? 'none' : 'head', x: 24, y: 18 + k * LINE}, line)));
  drawn.groups.set(item.of, element);
  drawn.at.set(`g${item.of}`, [x, y, item.W, item.H]);
  return element;
}

function card(item, x, y, view, drawn) {
  const row = view.rows[item.of];
  const [head, value, adjoint] = view.lines(row);
  const element = shape('g', {
    class: `node ${row.kind}${item.of === view.result ? ' whole' : ''}`, role: 'button',
    tabindex: -1, 'data-row': item.of, 'aria-label': view.say(row),
    transform: `translate(${round(x)} ${round(y)})`,
  },
  shape('rect', {class: 'card', width: round(item.W), height: round(item.H), rx: 6}),
  shape('text', {class: 'head', x: 12, y: 19}, head),
  shape('text', {class: row.value ? 'value' : 'value none', x: 12, y: 19 + LINE}, value),
  shape('text', {class: row.adjoint ? 'adjoint' : 'adjoint none', x: 12, y: 19 + 2 * LINE},
    adjoint));
  if (row.states.some((s) => s !== 'not required')) {
    element.append(shape('circle', {class: 'flag', cx: round(item.W - 9), cy: 9, r: 3.5}));
  }
  drawn.nodes.set(item.of, element);
  drawn.at.set(item.of, [x, y, item.W, item.H]);
  return element;
}

// Edges -------------------------------------------------------------------------------------------

function drawEdges(item, left, top, view, drawn) {
  for (const end of item.near[1]) {
    const of = item.kind === 'group' ? end.of : item.of;
    const x0 = left + item.x + port(item, of, 'out');
    const start = top + item.y + (item.kind === 'via' ? -item.H / 2 : item.H / 2);
    const y0 = top + item.y + item.H / 2;
    const x1 = left + entry(end, item, of);
    let y1 = top + end.y - end.H / 2;
    const use = usersBelow(item.kind === 'label' ? item : end, view, drawn);
    if ((end.kind === 'row' || end.kind === 'group') && !end.inner) {
      const tip = shape('path', {class: 'tip', d: `M${round(x1)} ${round(y1)}l-3.5 -7h7z`});
      drawn.bands.put(tip, y1 - 7, y1);
      remember(drawn, tip, of, use);
      y1 -= 5;
    }
    if ((item.kind === 'row' || item.kind === 'group') && !item.inner) {
      const back = shape('path', {class: 'tip up', d: `M${round(x0)} ${round(start)}l-3.5 7h7z`});
      drawn.bands.put(back, start, start + 7);
      remember(drawn, back, of, use);
    }
    const middle = round((y0 + y1) / 2);
    const through = item.kind === 'via' ? `V${round(y0)}` : '';
    const line = shape('path', {
      class: 'edge',
      d: `M${round(x0)} ${round(start)}${through}C${round(x0)} ${middle} ${round(x1)} ${middle} ` +
        `${round(x1)} ${round(y1)}`,
    });
    drawn.bands.put(line, start, y1);
    remember(drawn, line, of, use);
  }
}

/** Where an edge enters an item: edges that come in from the left enter at the left. */
function entry(end, item, of) {
  const above = end.near[0];
  if (end.inner || above.length < 2 || (end.kind !== 'row' && end.kind !== 'group')) {
    return end.x + port(end, of, 'in');
  }
  const order = [...above].sort((a, b) => a.x - b.x);
  const step = Math.min(22, (end.W - 24) / order.length);
  return end.x + (order.indexOf(item) - (order.length - 1) / 2) * step;
}

const FEW = 4; // uses to which a shared way still counts as the way

/** The rows to which an edge leads that ends at an item; none where they are many. */
function usersBelow(item, view, drawn) {
  if (item.kind === 'row') return [item.of];
  let found = drawn.users.get(item);
  if (!found) {
    if (item.use) found = [item.use[0]];
    else if (item.kind === 'label' && item.below[0].kind === 'group') {
      found = view.usersInside(item.of, item.below[0].of);
    } else if (item.kind === 'group') found = [];
    else if (item.kind === 'out') found = [];
    else found = [...new Set(item.near[1].flatMap((one) => usersBelow(one, view, drawn)))];
    if (found.length > FEW) found = [];
    drawn.users.set(item, found);
  }
  return found;
}

function remember(drawn, element, of, users) {
  const list = (map, key) => map.get(key) || map.set(key, []).get(key);
  list(drawn.of, of).push(element);
  for (const user of users) list(drawn.into, user).push(element);
}
