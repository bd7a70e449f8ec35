// Puts the page together: chapters, the theme, printing.

function drawBlock(of, block, chapter) {
  const controls = make('div', {className: 'controls'});
  const heading = make('h3', {}, block.title);
  let box, place;
  if (block.folded) {
    box = make('details', {className: 'block long'}, make('summary', {}, heading));
    place = box;
  } else {
    box = make('section', {className: 'block' + (block.block === 'table' ? ' long' : '')},
        make('div', {className: 'head'}, heading, controls));
    place = box;
  }
  chapter.append(box);
  if (block.note) place.append(make('p', {className: 'quiet'}, block.note));
  if (block.block === 'chart') drawChart(of, block, place, controls);
  if (block.block === 'explorer') drawExplorer(of, block, place, controls);
  if (block.block === 'table') drawTable(of, block, place);
  if (block.block === 'remarks')
    place.append(make('ul', {className: 'remarks'}, ...block.texts.map((text) => make('li', {}, text))));
}

function drawChapter(chapter, i) {
  const of = chapter.document;
  const box = make('article', {id: 'chapter-' + i},
      page.chapters.length > 1 || chapter.title !== page.title ? make('h2', {}, chapter.title) : null);
  document.getElementById('chapters').append(box);
  const facts = [['document', page.documents[of].name], ...chapter.facts];
  box.append(make('dl', {className: 'facts'}, ...facts.map(([name, value]) =>
    make('div', {}, make('dt', {}, name), make('dd', {}, value)))));
  box.append(make('ul', {className: 'findings'}, ...chapter.findings.map((finding) =>
    make('li', {className: finding.weight}, ...finding.text.map((part) => piece(of, part))))));
  for (const block of chapter.blocks) drawBlock(of, block, box);
}

// Themes: what the system asks for, until the reader chooses.
const systemDark = matchMedia('(prefers-color-scheme: dark)');
let chosen = null;
try {
  chosen = localStorage.getItem('kpksim-theme');
} catch (error) {
  // A browser may refuse storage to a file; the choice is then for this visit alone.
}
function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.getElementById('theme').textContent = theme === 'dark' ? 'Light' : 'Dark';
  for (const draw of drawn) draw();
}
function currentTheme() {
  return chosen === 'dark' || chosen === 'light' ? chosen : systemDark.matches ? 'dark' : 'light';
}
document.getElementById('theme').addEventListener('click', () => {
  chosen = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem('kpksim-theme', chosen);
  } catch (error) {
    // As above.
  }
  applyTheme(chosen);
});
systemDark.addEventListener('change', () => applyTheme(currentTheme()));

// Paper is light, and nothing on it can be unfolded.
let unfolded = [];
addEventListener('beforeprint', () => {
  unfolded = [...document.querySelectorAll('details:not([open])')];
  for (const details of unfolded) details.open = true;
  applyTheme('light');
});
addEventListener('afterprint', () => {
  for (const details of unfolded) details.open = false;
  applyTheme(currentTheme());
});
document.getElementById('print').addEventListener('click', () => print());

applyTheme(currentTheme());
document.getElementById('title').textContent = page.title;
document.getElementById('origin').textContent = 'Made by kpksim ' + page.version + ' from ' +
    page.documents.map((source) => source.name).join(', ') +
    '. Each underlined number leads to its place in its document. Charts by Plotly.js (MIT).';
if (page.chapters.length > 1) {
  document.getElementById('contents').append(make('ul', {}, ...page.chapters.map((chapter, i) =>
    make('li', {}, make('a', {href: '#chapter-' + i}, chapter.title)))));
}
page.chapters.forEach(drawChapter);
addEventListener('hashchange', openFromAddress);
openFromAddress();
document.documentElement.dataset.drawn = 'true';
