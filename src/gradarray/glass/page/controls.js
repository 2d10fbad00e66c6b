// What keys, buttons and the pointer do; at the end the page starts.

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const {target} = event;
  const typing = target.matches('input[type=search], .answer, select');
  if (typing || (target.id === 'slider' && event.key !== ' ' && event.key !== '/')) return;
  const node = target.closest('[data-row], [data-group]');
  const onButton = target.closest('button, a') || node;
  const actions = {
    ArrowLeft: () => goTo(state.step - 1),
    ArrowRight: () => goTo(state.step + 1),
    Home: () => goTo(0),
    End: () => goTo(steps.length - 1),
    '/': () => $('search').focus(),
  };
  if (!onButton) actions[' '] = () => play(!state.timer);
  if (node) {
    const act = () => activate(node);
    Object.assign(actions, {Enter: act, ' ': act});
    if (node.hasAttribute('data-row')) {
      const row = rows[node.getAttribute('data-row')];
      const up = row.operands.find((o) => o.row !== undefined);
      const next = (uses.get(row.id) || [])[0];
      actions.ArrowUp = () => up && choose(up.row, {open: true, focus: true});
      actions.ArrowDown = () => next !== undefined && choose(next, {open: true, focus: true});
    }
  }
  const act = actions[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function activate(element) {
  if (element.hasAttribute('data-group')) toggle(Number(element.getAttribute('data-group')));
  else {
    choose(Number(element.getAttribute('data-row')), {scroll: false, focus: true});
    $('live').textContent = view.say(rows[state.chosen]);
    if (matchMedia('(max-width: 820px)').matches) {
      $('panel').scrollIntoView({block: 'nearest'});
    }
  }
}

function zoomTo(zoom) {
  const frame = $('view'), before = state.zoom;
  state.zoom = Math.min(Math.max(zoom, 0.1), 2.5);
  const x = (frame.scrollLeft + frame.clientWidth / 2) * state.zoom / before;
  const y = (frame.scrollTop + frame.clientHeight / 2) * state.zoom / before;
  rescale();
  frame.scrollTo(x - frame.clientWidth / 2, y - frame.clientHeight / 2);
}

function fit() {
  const frame = $('view');
  const wide = (frame.clientWidth - 24) / drawn.width, high = (frame.clientHeight - 24) / drawn.height;
  zoomTo(Math.min(1.25, Math.max(Math.min(wide, high), 0.1)));
  bringIntoView(state.chosen);
}

function drag(event) {
  if (event.button !== 0 || event.pointerType !== 'mouse') return;
  const frame = $('view');
  const start = {x: event.clientX + frame.scrollLeft, y: event.clientY + frame.scrollTop};
  const move = (e) => frame.scrollTo(start.x - e.clientX, start.y - e.clientY);
  const end = () => {
    removeEventListener('pointermove', move);
    removeEventListener('pointerup', end);
    frame.classList.remove('dragged');
  };
  frame.classList.add('dragged');
  addEventListener('pointermove', move);
  addEventListener('pointerup', end);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
}

function showTheme() {
  $('theme').setAttribute('aria-pressed', String(isDark()));
  $('theme').textContent = isDark() ? words.light : words.dark;
}

function stepInAddress() {
  const found = /^#step=(\d+)$/.exec(location.hash);
  return found ? Number(found[1]) : null;
}

function start() {
  const slider = $('slider');
  slider.max = steps.length - 1;
  slider.style.setProperty('--split', `${100 * split / Math.max(steps.length - 1, 1)}%`);
  document.querySelector('.ways').style.setProperty(
    '--split', `${100 * split / Math.max(steps.length - 1, 1)}%`);
  const whole = rows[result];
  $('lead').textContent = `${whole.name}${whole.formula ? ` = ${whole.formula}` : ''} = ${
    whole.value ? (isKnown(whole) ? whole.value.shown : BLANK) : words['not kept']} · ${
    say(words.values, {n: rows.length.toLocaleString('en')})}`;
  redraw();
  goTo(stepInAddress() ?? steps.length - 1, {speak: false, scroll: false});
  showNotice(standingNotice());
  const frame = $('view');
  const wide = (frame.clientWidth - 16) / drawn.width;
  if (wide < 1) zoomTo(Math.max(wide, 0.55));
  frame.scrollTo(Math.max(0, (drawn.width * state.zoom - frame.clientWidth) / 2), 0);
  if (stepInAddress() !== null) bringIntoView(state.chosen);
  showTheme();

  const clicks = {
    first: () => goTo(0), back: () => goTo(state.step - 1), play: () => play(!state.timer),
    next: () => goTo(state.step + 1), last: () => goTo(steps.length - 1),
    'open-all': openAll, 'close-all': closeAll, fit,
    smaller: () => zoomTo(state.zoom / 1.25), bigger: () => zoomTo(state.zoom * 1.25),
    theme: () => {
      document.documentElement.dataset.theme = isDark() ? 'light' : 'dark';
      showTheme();
    },
  };
  for (const [id, act] of Object.entries(clicks)) $(id).addEventListener('click', act);
  slider.addEventListener('input', () => goTo(Number(slider.value)));
  $('colour').addEventListener('change', () => {
    state.colour = $('colour').value;
    paint();
  });
  $('search').addEventListener('input', search);
  $('search').addEventListener('keydown', searchKey);
  $('search').addEventListener('blur', () => { $('found').hidden = true; });
  document.addEventListener('keydown', pressed);
  addEventListener('hashchange', () => {
    const k = stepInAddress();
    if (k !== null) goTo(k);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', showTheme);
  $('drawing').addEventListener('click', (event) => {
    const node = event.target.closest('[data-row], [data-group]');
    if (node) activate(node);
  });
  frame.addEventListener('pointerdown', (event) => {
    if (!event.target.closest('[data-row], [data-group]')) drag(event);
  });
  frame.addEventListener('scroll', showBands);
  addEventListener('resize', showBands);
  frame.addEventListener('wheel', (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    zoomTo(state.zoom * Math.exp(-event.deltaY / 300));
  }, {passive: false});
}

start();
