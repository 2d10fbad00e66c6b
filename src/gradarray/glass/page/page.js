// The page: what is shown of the story, step by step, and what is chosen.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($('data').textContent);
const {words, groups, cards, measures} = data;
const {rows, result} = data.story;

const uses = new Map();
for (const row of rows) {
  for (const operand of row.operands) {
    if (operand.row === undefined) continue;
    const list = uses.get(operand.row) || uses.set(operand.row, []).get(operand.row);
    if (!list.includes(row.id)) list.push(row.id);
  }
}
const homes = [];
groups.forEach((group, number) => group.rows.forEach((id) => { homes[id] = number; }));

// Steps: every value in order, then every adjoint from the result back.
const steps = [null, ...rows.map((row) => ({way: 'forward', id: row.id}))];
for (const row of [...rows].reverse()) if (row.adjoint) steps.push({way: 'backward', id: row.id});
const stepFor = {forward: new Map(), backward: new Map()};
steps.forEach((step, k) => step && stepFor[step.way].set(step.id, k));
const split = rows.length;

const state = {
  open: new Set(groups.map((group, k) => group.open ? k : -1).filter((k) => k >= 0)),
  only: null, onlyId: null, step: -1, chosen: result, colour: 'none', zoom: 1, timer: null,
};

function ancestorsOf(id) {
  const found = new Set([id]), stack = [id];
  while (stack.length) {
    for (const {row} of rows[stack.pop()].operands) {
      if (row !== undefined && !found.has(row)) {
        found.add(row);
        stack.push(row);
      }
    }
  }
  return found;
}

function inside(id, number) {
  for (let g = homes[id]; g !== null; g = groups[g].parent) if (g === number) return true;
  return false;
}

/** The drawn element that stands for a row: its card, or the closed group around it. */
function standIn(id) {
  return drawn.nodes.get(id) || drawn.groups.get(closedAround(id));
}

function closedAround(id) {
  let found = null;
  for (let g = homes[id]; g !== null; g = groups[g].parent) if (!state.open.has(g)) found = g;
  return found;
}

// What is shown -----------------------------------------------------------------------------------

function shownItems() {
  if (!state.only) return () => true;
  const levelShows = new Map();
  const groupShows = new Set();
  for (const id of state.only) {
    for (let g = homes[id]; g !== null; g = groups[g].parent) groupShows.add(g);
  }
  const usedOutside = (of, number) =>
    (uses.get(of) || []).some((user) => state.only.has(user) && !inside(user, number));
  levels.forEach((level, number) => {
    for (const item of [...level.items].sort((a, b) => depth(b, level) - depth(a, level))) {
      let shows;
      if (item.kind === 'row') shows = state.only.has(item.of);
      else if (item.kind === 'group') shows = groupShows.has(item.of);
      else if (item.kind === 'out') shows = state.only.has(item.of) && usedOutside(item.of, number);
      else shows = item.below.some((one) => levelShows.get(one)) && state.only.has(item.of);
      levelShows.set(item, shows);
    }
  });
  return (item) => levelShows.get(item);
}

function depth(item, level) {
  if (!level.depths) {
    level.depths = new Map();
    level.layers.forEach((layer, k) => layer.forEach((one) => level.depths.set(one, k)));
  }
  return level.depths.get(item);
}

function sizeOf(item) {
  if (item.kind === 'row') return [cards[item.of][3], cards[item.of][4]];
  if (item.kind === 'group') return groups[item.of].size;
  return [item.w, item.h];
}

const quiz = new Quiz(data.quiz, words);
const isKnown = (row) => row.kind !== 'result' || quiz.knows(row.name);
const slopeOf = (to, from) => `∂${to.name}/∂${from.name}`;

const levels = data.levels.map(readLevel);
let drawn = null;

const view = {
  levels, groups, cards, rows, words, measures, result, uses,
  isOpen: (g) => state.open.has(g),
  shows: () => true,
  size: sizeOf,
  quiz,
  lines: (row) => [cards[row.id][0], isKnown(row) ? cards[row.id][1] : BLANK,
    !row.adjoint || quiz.knows(row.symbol) ? cards[row.id][2] : `∂ ${BLANK}`],
  tells: (item) => !item.use || quiz.knows(slopeOf(rows[item.use[0]], rows[item.of])),
  usersInside: (of, number) => (uses.get(of) || []).filter((id) => inside(id, number)),
  states: statesOf,
  say: (row) => [row.name, words[row.kind], row.op, isKnown(row) && row.value && row.value.shown,
    row.adjoint && quiz.knows(row.symbol) && `${words.adjoint} ${row.adjoint.shown}`, ...statesOf(row).map(([s]) => words[s])]
    .filter(Boolean).join(', '),
  stepsOf: (id) => ['forward', 'backward'].filter((way) => stepFor[way].has(id))
    .map((way) => [way, stepFor[way].get(id)]),
};

function size(value) {
  if (!value) return null;
  if (value.rms !== undefined) return Number(value.rms);
  return typeof value.elements === 'number' ? Math.abs(value.elements) : null;
}

/** The states of a row, each with what it means. */
function statesOf(row) {
  const found = row.states.flatMap((one) => one === 'subgradient'
    ? row.kinks.map((kink) => [one, say(words.subgradient_why, kink)])
    : [[one, words[`${one}_why`]]]);
  const adjoint = size(row.adjoint);
  if (adjoint !== null && adjoint < 1e-8) found.push(['vanishing', words.vanishing_why]);
  if (adjoint !== null && adjoint > 1e4) found.push(['exploding', words.exploding_why]);
  return found;
}

function redraw() {
  view.shows = shownItems();
  const placed = place(0, view);
  drawn = draw(placed, view);
  Object.assign(drawn, {width: placed.width, height: placed.height});
  const svg = $('drawing');
  svg.replaceChildren(drawn.bands.root);
  svg.setAttribute('viewBox', `0 0 ${round(placed.width)} ${round(placed.height)}`);
  rescale();
  paint();
  const at = Math.max(state.step, 0);
  for (let k = 1; k <= at; k++) reach(k, true);
  mark(at);
  choose(state.chosen, {scroll: false});
}

/** Gives the browser those parts of the drawing that are near to what is seen. */
function showBands() {
  const frame = $('view');
  drawn.bands.show(frame.scrollTop / state.zoom,
    (frame.scrollTop + frame.clientHeight) / state.zoom);
}

function rescale() {
  $('drawing').setAttribute('width', Math.round(drawn.width * state.zoom));
  $('drawing').setAttribute('height', Math.round(drawn.height * state.zoom));
  showBands();
}

/** Colours cards by how large what they hold is: 0 for 1e-6 and below, 8 for 1e6 and above. */
function paint() {
  $('legend').hidden = state.colour === 'none';
  for (const [id, element] of drawn.nodes) {
    const x = state.colour === 'none' ? null : size(rows[id][state.colour]);
    const q = x === null ? null : !Number.isFinite(x) ? 'n' : x === 0 ? 'z'
      : Math.round(Math.min(Math.max(Math.log10(x) / 1.5 + 4, 0), 8));
    if (q === null) element.removeAttribute('data-size');
    else element.setAttribute('data-size', q);
  }
}

// Steps -------------------------------------------------------------------------------------------

function reach(k, on) {
  const element = drawn.nodes.get(steps[k].id);
  if (element) element.classList.toggle(steps[k].way === 'forward' ? 'known' : 'passed', on);
}

let marked = [];

function mark(k) {
  for (const [element, name] of marked) element.classList.remove(name);
  marked = [];
  const step = steps[k];
  if (!step) return;
  const add = (element, name) => {
    if (!element) return;
    element.classList.add(name);
    marked.push([element, name]);
  };
  add(standIn(step.id), step.way === 'forward' ? 'now' : 'now-back');
  const edges = step.way === 'forward' ? drawn.into.get(step.id) : drawn.of.get(step.id);
  for (const edge of (edges || []).slice(0, 400)) {
    add(edge, step.way === 'forward' ? 'active' : 'active-back');
  }
}

function goTo(k, {speak = true, scroll = true} = {}) {
  k = Math.min(Math.max(Math.round(k), 0), steps.length - 1);
  if (k === state.step) return;
  const from = Math.max(state.step, 0);
  for (let i = from + 1; i <= k; i++) reach(i, true);
  for (let i = from; i > k; i--) reach(i, false);
  state.step = k;
  mark(k);
  const text = tell(k);
  $('slider').value = k;
  $('slider').setAttribute('aria-valuetext', text);
  $('said').textContent = text;
  if (speak) $('live').textContent = text;
  $('link').href = `#step=${k}`;
  $('link').textContent = `${k} / ${steps.length - 1}`;
  remember_address(k);
  if (steps[k]) choose(steps[k].id, {scroll});
}

let addressTimer = null;

function remember_address(k) {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => {
    try {
      history.replaceState(null, '', `#step=${k}`);
    } catch { /* a frame without an address of its own */ }
  }, 200);
}

function tell(k) {
  const step = steps[k];
  if (!step) return words.at_start;
  const row = rows[step.id];
  if (step.way === 'forward') {
    const made = row.formula ? ` = ${row.formula}` : '';
    return `${words.forward}: ${row.name}${made} = ${row.value ? view.lines(row)[1]
      : words['not kept']}`;
  }
  return `${words.backward}: ${row.symbol} = ${view.lines(row)[2].slice(2)}`;
}

function play(on) {
  clearInterval(state.timer);
  state.timer = null;
  if (on) {
    if (state.step >= steps.length - 1) goTo(0);
    const pause = Math.min(1000, Math.max(60, 60000 / steps.length));
    state.timer = setInterval(() => {
      goTo(state.step + 1);
      if (state.step >= steps.length - 1) play(false);
    }, pause);
  }
  const name = on ? words.pause : words.play;
  $('play').classList.toggle('playing', on);
  $('play').setAttribute('aria-label', name);
  $('play').title = name;
}

// Choosing ----------------------------------------------------------------------------------------

let chosenElement = null;
const panel = new Panel($('panel'), view, {
  solved: () => {
    redraw();
    showNotice(standingNotice());
    $('said').textContent = tell(state.step);
    const next = document.querySelector('#panel .answer');
    (next || $('panel')).focus({preventScroll: true});
  },
  choose: (id) => choose(id, {open: true}),
  only: (id) => showOnly(state.onlyId === id ? null : id),
  isOnly: (id) => state.onlyId === id,
});

/** Show a row in the panel, and where it is drawn. */
function choose(id, {scroll = true, open = false, focus = false} = {}) {
  state.chosen = id;
  if (open) reveal(id);
  const element = standIn(id);
  if (chosenElement !== element) {
    if (chosenElement) {
      chosenElement.classList.remove('chosen');
      if (chosenElement.hasAttribute('data-row')) chosenElement.setAttribute('tabindex', '-1');
    }
    if (element) {
      element.classList.add('chosen');
      element.setAttribute('tabindex', '0');
    }
    chosenElement = element;
  }
  panel.show(rows[id]);
  if (scroll) bringIntoView(id);
  if (focus && element) element.focus({preventScroll: true});
}

function reveal(id) {
  let changed = false;
  for (let g = homes[id]; g !== null; g = groups[g].parent) {
    if (!state.open.has(g)) {
      state.open.add(g);
      changed = true;
    }
  }
  if (state.only && !state.only.has(id)) {
    setOnly(null);
    changed = true;
  }
  if (changed) redraw();
}

function bringIntoView(id) {
  const closed = closedAround(id);
  const box = drawn.at.get(drawn.nodes.has(id) ? id : `g${closed}`);
  if (!box) return;
  const frame = $('view'), [x, y, w, h] = box.map((v) => v * state.zoom);
  const svg = $('drawing');
  const left = svg.offsetLeft ?? 0;
  const margin = 48;
  const to = {left: frame.scrollLeft, top: frame.scrollTop};
  if (x + left < to.left + margin) to.left = x + left - margin;
  if (x + left + w > to.left + frame.clientWidth - margin) {
    to.left = Math.min(x + left - 8, x + left + w - frame.clientWidth + margin);
  }
  if (y < to.top + margin || y + h > to.top + frame.clientHeight - margin) {
    to.top = y + h / 2 - frame.clientHeight / 2;
  }
  if (to.left !== frame.scrollLeft || to.top !== frame.scrollTop) {
    frame.scrollTo(to);
    showBands();
  }
}

function setOnly(id) {
  state.onlyId = id;
  state.only = id === null ? null : ancestorsOf(id);
  showNotice(id === null ? standingNotice() : say(words.only_note, {name: rows[id].name}),
    id === null ? null : () => showOnly(null));
}

function showOnly(id) {
  setOnly(id);
  redraw();
  bringIntoView(state.chosen);
}

function standingNotice() {
  if (data.quiz) return quiz.score();
  return data.large ? say(words.large, {n: rows.length.toLocaleString('en')}) : '';
}

function showNotice(text, undo = null) {
  const [span, button] = $('notice').children;
  $('notice').hidden = !text;
  span.textContent = text;
  button.hidden = !undo;
  button.textContent = words.everything;
  button.onclick = undo;
}

function toggle(number) {
  if (state.open.has(number)) state.open.delete(number);
  else if (visibleWith(number) > measures.many) {
    showNotice(say(words.too_many, {n: measures.many.toLocaleString('en')}));
    return;
  } else state.open.add(number);
  redraw();
  const element = drawn.groups.get(number);
  if (element) element.focus({preventScroll: true});
}

/** How many cards would be shown with one more group open. */
function visibleWith(...numbers) {
  const open = new Set([...state.open, ...numbers]);
  let count = 0;
  const visit = (g) => {
    count += groups[g].rows.length;
    groups.forEach((group, k) => { if (group.parent === g && open.has(k)) visit(k); });
  };
  visit(0);
  return count;
}

function openAll() {
  if (rows.length > measures.many + 1) {
    showNotice(say(words.too_many, {n: measures.many.toLocaleString('en')}));
    return;
  }
  groups.forEach((_, k) => state.open.add(k));
  redraw();
}

function closeAll() {
  state.open = new Set([0]);
  redraw();
  $('view').scrollTo({left: 0, top: 0});
}
