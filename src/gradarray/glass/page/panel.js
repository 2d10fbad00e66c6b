// The panel: the entire calculation of one value.

const QUIET = new Set(['not kept', 'not required', 'not reached', 'subgradient']);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'text') element.textContent = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** MathML that Python wrote, or plain text where it wrote none. */
function formula(mathml, text) {
  if (!mathml) return make('span', {class: 'formula plain', text: text ?? ''});
  const template = document.createElement('template');
  template.innerHTML = mathml;
  return make('span', {class: 'formula'}, template.content);
}

function partial(top, bottom) {
  const name = (row) => row.math ? row.math.name : `<mtext>${escaped(row.name)}</mtext>`;
  const half = (row) => `<mrow><mo>∂</mo>${name(row)}</mrow>`;
  return formula(`<math><mfrac>${half(top)}${half(bottom)}</mfrac></math>`);
}

function escaped(text) {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

function number(x) {
  return typeof x === 'number' ? (Object.is(x, -0) ? '-0' : String(x)) : String(x);
}

const grouped = (shown) => shown.startsWith('-') ? `(${shown})` : shown;

function say(template, values) {
  return template.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? '');
}

/** A value in full: a number to its last digit, the elements of a small array, or its range. */
function whole(value, kind, words) {
  if (!value) return make('span', {class: 'none', text: words['not kept']});
  const {elements, shape} = value;
  if (elements === undefined && value.min === undefined) {
    return make('span', {class: kind, text: value.shown});
  }
  if (elements === undefined) {
    return make('table', {class: `range ${kind}`}, ...['min', 'max', 'mean', 'rms'].map((key) =>
      make('tr', {}, make('th', {scope: 'row', text: words[key]}),
        make('td', {'data-of': key, text: number(value[key])}))));
  }
  if (!shape.length) return make('span', {class: `number ${kind}`, text: number(elements)});
  if (shape.length > 2 || !shape.every(Boolean)) {
    return make('span', {class: `number ${kind}`, text: JSON.stringify(elements)});
  }
  const rows = shape.length === 2 ? elements : [elements];
  return make('table', {class: `array ${kind}`}, ...rows.map((row) => make('tr', {},
    ...row.map((x) => make('td', {text: number(x)})))));
}

/** A value in a cell of a table: large arrays by shape and range only. */
function short(value, kind) {
  const cell = make('td', {class: `number ${kind}`});
  if (!value) return cell;
  if (value.elements !== undefined && value.shown.length < 22) {
    cell.textContent = value.shown;
    return cell;
  }
  const round = (x) => typeof x === 'number' ? String(Number(x.toPrecision(3))) : x;
  cell.append(make('span', {class: 'form', text: axes(value.shape)}));
  if (value.min !== undefined) cell.append(`${round(value.min)} … ${round(value.max)}`);
  return cell;
}

/** A difference quotient, with no more digits than its uncertainty leaves it. */
function known(difference, uncertainty) {
  if (typeof difference !== 'number' || !(uncertainty > 0) || difference === 0) {
    return number(difference);
  }
  const log = (x) => Math.floor(Math.log10(Math.abs(x)));
  const digits = Math.min(Math.max(log(difference) - log(uncertainty) + 1, 2), 17);
  return String(Number(difference.toPrecision(digits)));
}

function axes(shape) {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
}

function form(value) {
  return `${axes(value.shape)} ${value.dtype}`;
}

class Panel {
  constructor(element, view, actions) {
    Object.assign(this, {element, view, actions, words: view.words});
  }

  show(row) {
    const parts = [
      this.head(row), this.value(row), this.locals(row), this.adjoint(row), this.check(row),
      this.source(row), this.around(row),
    ];
    this.element.replaceChildren(...parts.filter(Boolean));
  }

  section(kind, title, ...children) {
    return make('section', {class: kind}, make('h3', {text: title}), ...children);
  }

  /** A number, or where a quiz asks for it, a field for it. */
  told(symbol, element) {
    const {quiz} = this.view;
    return quiz.knows(symbol) ? element : quiz.ask(symbol, this.actions.solved);
  }

  line(...children) {
    return make('p', {class: 'equation'}, ...children);
  }

  link(row) {
    const button = make('button', {type: 'button', class: 'row', text: row.name});
    button.addEventListener('click', () => this.actions.choose(row.id));
    return button;
  }

  head(row) {
    const {words} = this;
    const about = [words[row.kind], row.op, row.value ? form(row.value) : null].filter(Boolean);
    const chips = this.view.states(row).map(([state, why]) => make('li', {class: `state${QUIET.has(state) ? ' quiet' : ''}`},
      make('strong', {text: words[state]}), ` · ${why}`));
    const only = make('button', {
      type: 'button', id: 'only', 'aria-pressed': String(this.actions.isOnly(row.id)),
      text: this.actions.isOnly(row.id) ? words.everything : words.only});
    only.addEventListener('click', () => this.actions.only(row.id));
    return make('section', {class: 'top'}, make('h2', {text: row.name}),
      make('p', {class: 'about', text: about.join(' · ')}),
      chips.length ? make('ul', {class: 'states'}, ...chips) : null, only);
  }

  value(row) {
    const math = row.math || {};
    const lines = [];
    if (row.formula !== null) {
      lines.push(this.line(this.name(row), ' = ', formula(math.formula, row.formula)));
      const given = row.operands.every(
        ({row: id}) => id === undefined || this.knows(this.view.rows[id]));
      if (given && row.plugged && row.plugged !== row.formula) {
        lines.push(this.line(make('i', {class: 'same', text: '='}), ' ',
          formula(math.plugged, row.plugged)));
      }
    }
    const value = this.knows(row) ? whole(row.value, 'value', this.words)
      : this.told(row.name);
    value.id = 'the-value';
    const tag = value.tagName === 'TABLE' ? 'div' : 'p';
    lines.push(make(tag, {class: 'equation'}, lines.length ? make('i', {class: 'same', text: '='}) : this.name(row),
      lines.length ? ' ' : ' = ', value));
    return this.section('of-value', this.words.value, ...lines);
  }

  knows(row) {
    return row.kind !== 'result' || this.view.quiz.knows(row.name);
  }

  name(row) {
    return formula(row.math && `<math>${row.math.name}</math>`, row.name);
  }

  symbol(row) {
    return partial(this.view.rows[this.view.result], row);
  }

  locals(row) {
    const lines = [];
    row.operands.forEach((operand, k) => {
      if (operand.row === undefined) return;
      const from = this.view.rows[operand.row];
      const term = from.terms.find((t) => t.to === row.id && t.operand === k);
      if (!term || term.local === null) return;
      const symbol = `∂${row.name}/∂${from.name}`;
      if (!this.view.quiz.knows(symbol)) {
        lines.push(this.line(partial(row, from), ' = ', this.told(symbol)));
        return;
      }
      const math = term.math || {};
      const line = [partial(row, from), ' = ', formula(math.local, term.local)];
      if (math.plugged && math.plugged !== math.local && !term.slope.shape.length) {
        line.push(' = ', formula(math.plugged));
      }
      if (term.slope.shown !== term.local) {
        line.push(' = ', make('span', {class: 'number', text: term.slope.shown}));
      }
      lines.push(this.line(...line));
    });
    return lines.length ? this.section('of-local', this.words.local, ...lines) : null;
  }

  adjoint(row) {
    const {words, view} = this;
    if (!row.adjoint) {
      return this.section('of-adjoint', words.adjoint,
        make('p', {class: 'note', text: view.states(row).map(([, why]) => why).join(' ')}));
    }
    const isKnown = view.quiz.knows(row.symbol);
    const total = this.told(row.symbol, whole(row.adjoint, 'adjoint', words));
    total.id = 'the-adjoint';
    if (row.id === view.result) {
      return this.section('of-adjoint', words.adjoint,
        make('p', {class: 'note', text: say(words.adjoint_is_seed, {name: row.name})}),
        make('div', {class: 'equation'}, this.symbol(row), ' = ', total));
    }
    const sum = [this.symbol(row), ' = '];
    row.terms.forEach((term, k) => {
      const to = view.rows[term.to];
      if (k === 6) sum.push(' + …');
      if (k >= 6) return;
      sum.push(k ? ' + ' : '', this.symbol(to), ' · ', partial(to, row));
    });
    const scalars = isKnown && row.terms.every((term) => term.slope && !term.slope.shape.length
      && !view.rows[term.to].adjoint.shape.length) && row.terms.length <= 6;
    const numbers = scalars ? this.line(make('i', {class: 'same', text: '='}), ' ',
      make('span', {class: 'number', text: row.terms.map((term) =>
        [view.rows[term.to].adjoint.shown, term.slope.shown].map(grouped).join(' · '),
      ).join(' + ')})) : null;
    const told = row.terms.length === 1 ? words.adjoint_is_one : words.adjoint_is_sum;
    return this.section('of-adjoint', words.adjoint,
      make('p', {class: 'note', text: say(told, {n: row.terms.length, name: row.name})}),
      this.line(...sum), numbers, isKnown ? this.terms(row) : null, ...this.sums(row),
      make('div', {class: 'equation'}, this.symbol(row), ' = ', total));
  }

  terms(row) {
    const {words} = this;
    const head = ['by_use', 'incoming', 'slope', 'contribution'].map(
      (key) => make('th', {scope: 'col', text: words[key]}));
    const body = row.terms.map((term) => {
      const to = this.view.rows[term.to], math = term.math || {};
      const slope = term.local === null ? formula(math.whole, term.whole)
        : formula(math.local, term.local);
      const shown = term.slope && term.slope.shown !== term.local && !term.slope.shape.length
        ? make('span', {class: 'number', text: ` = ${term.slope.shown}`}) : null;
      return make('tr', {}, make('th', {scope: 'row'}, this.link(to)),
        short(to.adjoint, ''),
        make('td', {}, slope, shown),
        short(term.value, 'adjoint'));
    });
    return make('div', {class: 'wide'}, make('table', {class: 'terms'},
      make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...body)));
  }

  sums(row) {
    return row.terms.flatMap((term) => term.sums.map((one) => make('p', {
      class: 'note', text: say(this.words.summed, {
        axis: one.axis.join(', '), shape: one.shape, name: row.name})})));
  }

  check(row) {
    const {words} = this;
    if (!this.view.quiz.knows(row.symbol)) return null;
    if (typeof row.check === 'string') {
      const why = words[`why_not.${row.check}`] || row.check;
      return this.section('of-check', words.check,
        make('p', {class: 'note', text: say(words.unchecked, {why})}));
    }
    const isScalar = row.shape.length === 0;
    const head = [isScalar ? null : 'index', 'engine', 'difference', 'verdict'].filter(Boolean);
    const body = row.check.map((one) => make('tr', {},
      isScalar ? null : make('th', {scope: 'row', text: `[${one.index.join(', ')}]`}),
      make('td', {class: 'number', text: number(one.adjoint)}),
      make('td', {class: 'number', text: known(one.difference, one.uncertainty)}),
      make('td', {class: one.agrees ? 'good' : 'bad',
        text: `${one.agrees ? '✓' : '✗'} ${one.agrees ? words.agrees : words.differs}`})));
    return this.section('of-check', words.check, make('div', {class: 'wide'},
      make('table', {}, make('thead', {}, make('tr', {},
        ...head.map((key) => make('th', {scope: 'col', text: words[key]})))),
      make('tbody', {}, ...body))), make('p', {class: 'note', text: words.check_note}));
  }

  source(row) {
    if (row.kind !== 'result') return null;
    const {words} = this;
    if (!row.place) {
      return this.section('of-source', words.source,
        make('p', {class: 'note', text: words.no_place}));
    }
    return this.section('of-source', words.source,
      make('pre', {}, make('code', {text: row.place.code || ' '})),
      make('p', {class: 'note', text: `${row.place.file}:${row.place.line}`}));
  }

  around(row) {
    const {words, view} = this;
    const list = (title, ids) => ids.length ? make('p', {class: 'links'},
      make('span', {text: title}), ...ids.map((id) => this.link(view.rows[id]))) : null;
    const operands = [...new Set(row.operands.map((o) => o.row).filter((id) => id !== undefined))];
    const steps = view.stepsOf(row.id).map(([way, step]) => make('a', {
      href: `#step=${step}`, class: way, text: `${words[way]} ${step}`}));
    return make('section', {class: 'around'},
      list(words.operands, operands), list(words.uses, view.uses.get(row.id) || []),
      row.scope.length ? make('p', {class: 'links'}, make('span', {text: words.scope}),
        make('span', {class: 'plain', text: row.scope.join(' › ')})) : null,
      row.loops ? make('p', {class: 'links'}, make('span', {text: words.loops}),
        make('span', {class: 'plain', text: row.loops.join('; ') || words.in_no_loop})) : null,
      make('p', {class: 'links'}, make('span', {text: '#'}), ...steps));
  }
}
