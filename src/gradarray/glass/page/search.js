// Search: by name, op and formula; what is found is opened and shown.

let matches = [], active = 0;

function search() {
  const text = $('search').value.trim().toLowerCase();
  const holds = (row) => [row.name, row.op, row.formula].some(
    (part) => part && part.toLowerCase().includes(text));
  matches = text ? rows.filter(holds).slice(0, 50) : [];
  active = 0;
  list();
  if (text) {
    $('live').textContent = matches.length ? say(words.found, {n: matches.length})
      : words.none_found;
  }
}

function list() {
  const text = $('search').value.trim(), box = $('found');
  box.hidden = !text;
  $('search').setAttribute('aria-expanded', String(Boolean(text)));
  $('search').setAttribute('aria-activedescendant', matches.length ? `found-${active}` : '');
  box.replaceChildren(...matches.map((row, k) => {
    const option = make('li', {
      role: 'option', id: `found-${k}`, 'aria-selected': String(k === active),
      class: row.kind}, make('b', {text: row.name}),
    row.formula ? ` = ${row.formula}` : '', ` ${row.value && isKnown(row) ? row.value.shown : ''}`);
    option.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      find(k);
    });
    return option;
  }));
  if (!matches.length && text) box.append(make('li', {class: 'none', text: words.none_found}));
  const current = box.children[active];
  if (current) current.scrollIntoView({block: 'nearest'});
}

function find(k) {
  if (!matches[k]) return;
  const {id} = matches[k];
  $('search').value = '';
  matches = [];
  list();
  choose(id, {open: true, focus: true});
}

function searchKey(event) {
  if (event.key === 'Escape') {
    $('search').value = '';
    matches = [];
  } else if (event.key === 'Enter') {
    find(active);
    return;
  } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
    const by = event.key === 'ArrowDown' ? 1 : -1;
    active = (active + by + matches.length) % Math.max(matches.length, 1);
    event.preventDefault();
  } else return;
  list();
}
