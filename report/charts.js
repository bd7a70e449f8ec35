// Charts, drawn by Plotly: values on hover, zoom by dragging, series on and off by the legend, a
// logarithmic axis by a button. A click on a value leads to its place in the document.

// Okabe and Ito's colours. On dark paper the light blue comes first, as the dark one is hard to see.
const colours = {
  light: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#6b7280', '#b8a800'],
  dark: ['#56b4e9', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#3f8fd0', '#9aa5b4', '#f0e442'],
};
// Further series have patterns, and lines have marks, so that colour alone never tells.
const patterns = ['', '/', 'x', '.', '\\', '-', '|', '+'];
const marks = ['circle', 'square', 'diamond', 'triangle-up', 'x', 'cross', 'star', 'triangle-down'];
const dashes = ['solid', 'dash', 'dot', 'dashdot'];

const drawn = [];  // functions that draw each chart anew

// Plotly reads some HTML in its texts: names of a document must not be taken for it.
function plain(text) {
  return String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

// An axis' label, on two lines if it is long.
function label(text, narrow) {
  const most = narrow ? 16 : 26;
  if (text.length <= most || !text.includes(',')) return plain(text);
  return plain(text).replace(/,/g, narrow ? ',<br>' : ', ').replace(/, /, ',<br>');
}

// A text on lines of at most so many characters, broken behind spaces and commas.
function wrapped(text, most) {
  const lines = [''];
  for (const piece of String(text).split(/(?<=[ ,])/)) {
    const last = lines.length - 1;
    if (lines[last] !== '' && (lines[last] + piece).trimEnd().length > most) lines.push(piece);
    else lines[last] += piece;
  }
  return lines.map((line) => plain(line.trimEnd())).join('<br>');
}

// Names of series in a legend: on a narrow page a long one would be cut at the chart's end.
const narrowName = 40;
function named(series, narrow) { return narrow ? wrapped(series.name, narrowName) : plain(series.name); }

function legendLines(series, narrow) {
  const lengths = series.map((s) => s.name.length + 8);  // with the mark before it
  if (!narrow) return Math.ceil(lengths.reduce((sum, n) => sum + n, 0) / 120);
  return lengths.reduce((sum, n) => sum + Math.ceil(n / narrowName), 0);
}

// Where a logarithmic axis has numbers on a narrow page: at about four of its decades, or at 1, 2 and 5
// where it has less than two. Plotly's own would lie on each other.
function digits(block, log, narrow) {
  if (!log || !narrow) return {};
  const values = block.series.flatMap((s) => s.values).filter((v) => v > 0);
  const decades = Math.log10(Math.max(...values) / Math.min(...values));
  return {dtick: decades < 2 ? 'D2' : Math.ceil(decades / 4)};
}

function style() {
  const of = getComputedStyle(document.documentElement);
  const theme = document.documentElement.dataset.theme;
  return {
    colours: colours[theme],
    paper: of.getPropertyValue('--paper').trim(),
    ink: of.getPropertyValue('--ink').trim(),
    rule: of.getPropertyValue('--rule').trim(),
    raised: of.getPropertyValue('--raised').trim(),
  };
}

function colour(look, i, series) {
  const slot = series && series.slot !== undefined ? series.slot : i;
  return look.colours[slot % look.colours.length];
}

function axis(look, extra) {
  return Object.assign({
    gridcolor: look.rule, linecolor: look.rule, zerolinecolor: look.ink, zerolinewidth: 1,
    automargin: true, ticks: '', exponentformat: 'SI',
  }, extra);
}

function layout(look, extra) {
  return Object.assign({
    paper_bgcolor: look.paper, plot_bgcolor: look.paper,
    font: {color: look.ink, family: getComputedStyle(document.body).fontFamily, size: 13},
    margin: {l: 10, r: 44, t: 10, b: 10, pad: 4},
    modebar: {orientation: 'v', bgcolor: 'rgba(0,0,0,0)', color: look.rule, activecolor: look.ink},
    hoverlabel: {bgcolor: look.raised, bordercolor: look.rule, font: {color: look.ink}, align: 'left'},
    legend: {orientation: 'h', x: 0, xanchor: 'left', y: 1, yanchor: 'bottom', traceorder: 'normal'},
    hovermode: 'closest',
  }, extra);
}

const config = {
  responsive: true, displaylogo: false,
  modeBarButtons: [['toImage', 'zoom2d', 'pan2d', 'resetScale2d']],
};

function hoverText(series, i, category, unit) {
  let text = '<b>' + plain(series.name) + '</b><br>' + plain(category) + '<br>' +
      plain(grouped(series.values[i])) + ' ' + plain(unit);
  if (series.low) text += '<br>' + plain(grouped(series.low[i])) + ' to ' + plain(grouped(series.high[i]));
  return text;
}

function errorBars(series, look) {
  if (!series.low) return undefined;
  return {
    type: 'data', symmetric: false, color: look.ink, thickness: 1.5, width: 4,
    array: series.high.map((high, i) => Math.max(0, high - series.values[i])),
    arrayminus: series.low.map((low, i) => Math.max(0, series.values[i] - low)),
  };
}

function barTraces(block, look, narrow) {
  return block.series.map((series, i) => ({
    type: 'bar', orientation: 'h', name: named(series, narrow),
    y: block.categories.map((text) => label(text, narrow)), x: series.values,
    visible: series.hidden ? 'legendonly' : true,
    marker: {
      color: colour(look, i, series), line: {color: look.paper, width: .5},
      pattern: {shape: patterns[Math.floor(i / look.colours.length) % patterns.length], fgcolor: look.paper, fillmode: 'overlay', size: 6},
    },
    error_x: errorBars(series, look),
    hoverinfo: 'text', textposition: 'none',
    hovertext: series.values.map((value, n) => hoverText(series, n, block.categories[n], block.value_title)),
  }));
}

// A row for each category, and on it a mark for each series.
function dotTraces(block, look, narrow) {
  return block.series.map((series, i) => ({
    type: 'scatter', mode: 'markers', name: named(series, narrow),
    y: block.categories.map((text) => label(text, narrow)), x: series.values,
    marker: {color: colour(look, i, series), symbol: marks[i % marks.length], size: 12, opacity: .9,
      line: {color: look.paper, width: 1}},
    hoverinfo: 'text',
    hovertext: series.values.map((value, n) => hoverText(series, n, block.categories[n], block.value_title)),
  }));
}

// Series that are equal lie on each other: the first ones are wider, so that their rims show.
function rim(block, i) { return Math.min(4, block.series.length - 1 - i); }

function lineTraces(block, look, narrow, log) {
  const value = (v) => log && v <= 0 ? null : v;  // a logarithm of 0 is not far below, but nowhere
  return block.series.map((series, i) => ({
    type: 'scatter', mode: block.form === 'points' ? 'markers' : 'lines+markers', name: named(series, narrow),
    x: series.x || block.categories.map((text) => plain(text)), y: series.values.map(value),
    visible: series.hidden ? 'legendonly' : true,
    line: {color: colour(look, i, series), dash: dashes[Math.floor(i / look.colours.length) % dashes.length], width: 2 + rim(block, i)},
    marker: {color: colour(look, i, series), symbol: marks[i % marks.length], size: block.form === 'points' ? 6 : 8 + rim(block, i)},
    hoverinfo: 'text',
    hovertext: series.values.map((value, n) => hoverText(series, n,
        series.x ? block.category_title + ' ' + grouped(series.x[n]) : block.categories[n], block.value_title)),
  }));
}

function toggle(text, on, changed) {
  const button = make('button', {type: 'button', 'aria-pressed': String(on)}, text);
  button.addEventListener('click', () => {
    const now = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(now));
    changed(now);
  });
  return button;
}

function drawChart(of, block, place, controls) {
  const chart = make('div', {className: 'chart'});
  const dots = block.form === 'dots';
  const rows = dots || block.form === 'bars' || block.form === 'stacked';
  let log = block.log;
  if (block.log_offered) {
    controls.append(toggle('Log axis', log, (on) => {
      log = on;
      draw();
    }));
  }
  place.append(chart);

  function draw() {
    const look = style();
    const narrow = place.clientWidth < 560;
    const valueAxis = axis(look, {title: {text: wrapped(block.value_title, narrow ? 24 : 60)}, type: log ? 'log' : 'linear',
      ...digits(block, log, narrow)});
    const visible = block.series.filter((series) => !series.hidden).length;
    const rowHeight = narrow ? 56 : block.form === 'stacked' || dots ? 44 : Math.max(40, 15 * Math.min(visible, 7) + 16);
    const legendRows = legendLines(block.series, narrow);
    // Hidden series come back in the colour and place that they had.
    const shape = rows ? {
      barmode: block.form === 'stacked' ? 'relative' : 'group', bargap: .28,
      xaxis: valueAxis,
      yaxis: axis(look, {autorange: 'reversed', type: 'category', tickfont: {size: narrow ? 11 : 13}, gridcolor: dots ? look.rule : look.paper}),
      height: 110 + rowHeight * block.categories.length + 22 * legendRows,
    } : {
      xaxis: axis(look, {title: {text: plain(block.category_title)}, type: block.log_x ? 'log' : undefined}),
      yaxis: valueAxis,
      height: 360 + 22 * legendRows,
    };
    const traces = dots ? dotTraces : rows ? barTraces : lineTraces;
    Plotly.react(chart, traces(block, look, narrow, log),
        layout(look, Object.assign({showlegend: block.series.length > 1, uirevision: log ? 'log' : 'linear'}, shape)),
        Object.assign({displayModeBar: narrow ? false : 'hover'}, config));
  }
  drawn.push(draw);
  draw();
  chart.on('plotly_click', (event) => {
    const point = event.points[0];
    const series = block.series[point.curveNumber];
    inspect(of, series.at[point.pointNumber], series.how);
  });
}
