// Tables that a click on a heading sorts: down, up, and back to the order they came in.

// Long policies break after their commas, and nowhere else.
function breakable(text) {
  const pieces = text.split(/(?<=,)/);
  if (pieces.length === 1) return pieces;
  return pieces.flatMap((part) => [make('span', {className: 'whole'}, part), make('wbr')]);
}

// A row's name. One with a note shows it when it is clicked.
function rowName(row) {
  if (!row.note) return breakable(row.name);
  const note = make('span', {className: 'hint', hidden: true}, row.note);
  const button = make('button', {type: 'button', className: 'name', 'aria-expanded': 'false'}, ...breakable(row.name));
  button.addEventListener('click', () => {
    note.hidden = !note.hidden;
    button.setAttribute('aria-expanded', String(!note.hidden));
  });
  return [button, note];
}

function isText(cell) {
  return typeof cell === 'string' ? cell !== '-' && cell !== '' : typeof cell.v === 'string';
}

function sortKey(cell) {
  if (cell === undefined || typeof cell === 'string') return cell === '-' ? null : cell;
  return cell.v === undefined ? shown(cell) : cell.v;
}

// Numbers by value, text by its characters; what has no value comes last, either way round.
function compare(a, b, direction) {
  if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0);
  if (typeof a === 'number' && typeof b === 'number') return direction * (a - b);
  return direction * String(a).localeCompare(String(b), 'en', {numeric: true});
}

function tableRow(of, row, width, grouping) {
  const name = make('th', {scope: 'row'}, ...rowName(row));
  if (row.group && !grouping) name.append(make('span', {className: 'hint'}, row.group));
  const line = make('tr', {}, name);
  for (let i = 0; i < width; ++i) {
    const cell = row.cells[i] === undefined ? '' : row.cells[i];
    const element = make('td', {}, piece(of, cell));
    if (typeof cell !== 'string' && cell.class) element.className = 'verdict ' + cell.class;
    else if (isText(cell)) element.className = 'text';
    line.append(element);
  }
  return line;
}

function drawTable(of, block, place) {
  const body = make('tbody');
  const headings = [block.first, ...block.columns];
  const state = {column: -1, direction: 0, filter: ''};

  function fill() {
    let rows = block.rows.filter((row) =>
      !state.filter || (row.name + ' ' + (row.group || '')).toLowerCase().includes(state.filter));
    if (state.direction !== 0) {
      const key = (row) => state.column === 0 ? row.name : sortKey(row.cells[state.column - 1]);
      rows = [...rows].sort((a, b) => compare(key(a), key(b), state.direction));
    }
    const grouping = state.direction === 0;
    let group = '';
    body.replaceChildren();
    for (const row of rows) {
      if (grouping && row.group && row.group !== group) {
        group = row.group;
        body.append(make('tr', {className: 'group'},
            make('th', {scope: 'rowgroup', colSpan: headings.length}, group)));
      }
      body.append(tableRow(of, row, block.columns.length, grouping));
    }
  }

  const cells = headings.map((text, i) => {
    const button = make('button', {type: 'button', title: 'sort'}, ...breakable(text));
    const cell = make('th', {scope: 'col'}, button);
    if (i > 0 && block.rows.some((row) => row.cells[i - 1] !== undefined && (isText(row.cells[i - 1]) || row.cells[i - 1].class)))
      cell.className = 'text';
    button.addEventListener('click', () => {
      const same = state.column === i;
      // Numbers are asked for their largest first, names for their first.
      const order = i === 0 ? [1, -1, 0] : [-1, 1, 0];
      state.direction = same ? order[(order.indexOf(state.direction) + 1) % 3] : order[0];
      state.column = i;
      for (const other of cells) other.removeAttribute('aria-sort');
      if (state.direction !== 0)
        cell.setAttribute('aria-sort', state.direction > 0 ? 'ascending' : 'descending');
      fill();
    });
    return cell;
  });
  fill();
  const long = block.rows.length > 40;
  if (block.rows.length > 12) {
    const filter = make('input', {type: 'search', placeholder: 'Filter rows', 'aria-label': 'Filter rows'});
    filter.addEventListener('input', () => {
      state.filter = filter.value.toLowerCase();
      fill();
    });
    place.append(make('div', {className: 'controls'}, filter));
  }
  place.append(make('div', {className: 'scroll' + (long ? ' long' : ''), tabIndex: 0},
      make('table', {}, make('thead', {}, make('tr', {}, ...cells)), body)));
}
