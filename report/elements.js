'use strict';
// What all of the page's scripts share: its data, elements, and links from numbers to their places.
// Text that came from a document only ever becomes a text node: never HTML.

const page = JSON.parse(document.getElementById('page').textContent);

// make('p', {className: 'quiet'}, 'text', child, ...)
function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (name.includes('-')) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// 1234567.5 as "1,234,567.5".
function grouped(value) {
  return value.toLocaleString('en-US', {maximumFractionDigits: 2});
}

function shown(cell) {
  if (cell.t !== undefined) return cell.t;
  return typeof cell.v === 'number' ? grouped(cell.v) : String(cell.v);
}

// The value that a JSON pointer (RFC 6901) names; undefined if there is none.
function resolve(root, pointer) {
  let value = root;
  for (const part of pointer.split('/').slice(1)) {
    if (value === null || typeof value !== 'object') return undefined;
    const key = part.replace(/~1/g, '/').replace(/~0/g, '~');
    if (!Object.prototype.hasOwnProperty.call(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

// A number that leads to its places in document number `of`.
function numberLink(of, cell) {
  const name = page.documents[of].name;
  const title = (cell.how ? cell.how + '\n' : '') +
      cell.at.slice(0, 4).map((at) => name + '#' + at).join('\n') +
      (cell.at.length > 4 ? '\nand ' + (cell.at.length - 4) + ' more' : '');
  const link = make('a', {className: 'number', href: '#' + of + cell.at[0], title}, shown(cell));
  link.addEventListener('click', (event) => {
    event.preventDefault();
    inspect(of, cell.at, cell.how);
  });
  return link;
}

// A table's cell, or a piece of a sentence: text, or a number with its places.
function piece(of, cell) {
  if (typeof cell === 'string') return cell;
  if (cell.name !== undefined) return make('b', {className: 'policy'}, cell.name);
  return numberLink(of, cell);
}
