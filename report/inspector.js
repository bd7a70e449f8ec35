// Where a number is from: the places of the document, and what stands there.

function jqPath(pointer) {
  return pointer.split('/').slice(1).map((part) => {
    const key = part.replace(/~1/g, '/').replace(/~0/g, '~');
    if (/^(0|[1-9][0-9]*)$/.test(key)) return '[' + key + ']';
    return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? '.' + key : '[' + JSON.stringify(key) + ']';
  }).join('').replace(/^\[/, '.[') || '.';
}

function quoted(text) {
  return /^[A-Za-z0-9_./+-]+$/.test(text) ? text : "'" + text.replace(/'/g, "'\\''") + "'";
}

const mostLines = 24;
const mostPlaces = 12;

function excerpt(value) {
  const lines = JSON.stringify(value, null, 2).split('\n');
  if (lines.length <= mostLines) return lines.join('\n');
  return lines.slice(0, mostLines).join('\n') + '\n… ' + (lines.length - mostLines) + ' more lines';
}

function inspect(of, places, how) {
  const source = page.documents[of];
  const dialog = document.getElementById('inspector');
  const close = make('button', {type: 'button'}, 'Close');
  close.addEventListener('click', () => dialog.close());
  dialog.replaceChildren(make('div', {className: 'head'}, make('h3', {}, source.name), close));
  if (how) dialog.append(make('p', {}, 'Computed from the values below: ' + how + '.'));
  for (const at of places.slice(0, mostPlaces)) {
    const value = resolve(source.content, at);
    dialog.append(make('h4', {}, make('code', {}, at || '/')));
    dialog.append(make('pre', {}, value === undefined ? 'nothing is there' : excerpt(value)));
    if (source.format === 'json') {
      dialog.append(make('p', {className: 'quiet'},
          make('code', {}, "jq '" + jqPath(at) + "' " + quoted(source.name))));
    }
  }
  if (places.length > mostPlaces) {
    dialog.append(make('p', {className: 'quiet'}, 'and ' + (places.length - mostPlaces) + ' more places'));
  }
  history.replaceState(null, '', '#' + of + encodeURI(places[0]));
  if (!dialog.open) dialog.showModal();
}

// A link to a place opens it: report.html#0/runs/1/total/cycles/total
function openFromAddress() {
  const found = /^#([0-9]+)(\/.*)$/.exec(decodeURI(location.hash));
  if (found && page.documents[found[1]]) inspect(Number(found[1]), [found[2]]);
}
