// The points of a sweep: any setting or total over any other. Values are read from the document.

function choice(name, columns, selected, changed) {
  const select = make('select', {});
  columns.forEach((column, i) =>
    select.append(make('option', {value: String(i), selected: i === selected}, column.name)));
  select.addEventListener('change', () => changed(Number(select.value)));
  return make('label', {}, name + ' ', select);
}

// Of points that are better in nothing than another, less being better in both.
function front(points) {
  const order = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  let least = Infinity;
  return order.filter((point) => point.y < least && ((least = point.y), true));
}

function drawExplorer(of, block, place, controls) {
  const rows = resolve(page.documents[of].content, block.rows)
      .map((row, i) => ({row, at: block.rows + '/' + i}))
      .filter(({row}) => row.error === undefined);
  const settings = block.columns.filter((column) => column.setting);
  const numeric = (column) => rows.every(({row}) => typeof (resolve(row, column.at) ?? 0) === 'number');
  const numbers = block.columns.filter(numeric);
  const first = (list, test) => Math.max(0, list.findIndex(test));
  const named = [{name: 'none', at: null}, ...settings];
  const state = {
    x: block.columns.indexOf(settings.find(numeric) || block.columns[0]),
    y: first(numbers, (column) => !column.setting),
    series: Math.max(0, named.findIndex((column, i) => i > 0 && !numeric(column))),
    logX: false, logY: false, front: false,
  };
  const chart = make('div', {className: 'chart'});
  const set = (name) => (value) => {
    state[name] = value;
    draw();
  };
  controls.append(
      choice('x', block.columns, state.x, set('x')), choice('y', numbers, state.y, set('y')),
      choice('series', named, state.series, set('series')),
      toggle('Log x', false, set('logX')), toggle('Log y', false, set('logY')),
      toggle('Front', false, set('front')));
  place.append(chart);

  let series = [];
  function draw() {
    const look = style();
    const x = block.columns[state.x], y = numbers[state.y], by = named[state.series];
    const value = (row, column) => resolve(row, column.at) ?? 0;
    const groups = new Map();
    for (const {row, at} of rows) {
      const key = by.at === null ? 'all points' : String(resolve(row, by.at) ?? '-');
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push({x: value(row, x), y: value(row, y), row, at});
    }
    series = [...groups].map(([name, points]) => ({name, points}));
    const traces = [];
    series.forEach(({name, points}, i) => {
      const means = new Map();
      for (const point of points) means.set(point.x, [...(means.get(point.x) || []), point.y]);
      const line = [...means].map(([at, ys]) => ({x: at, y: ys.reduce((a, b) => a + b, 0) / ys.length}));
      line.sort((a, b) => typeof a.x === 'number' ? a.x - b.x : String(a.x).localeCompare(String(b.x)));
      const text = (v) => typeof v === 'number' ? v : plain(v);
      traces.push({
        type: 'scatter', mode: 'markers', name: plain(name), legendgroup: String(i),
        x: points.map((p) => text(p.x)), y: points.map((p) => p.y),
        marker: {color: colour(look, i), symbol: marks[i % marks.length], size: 8, opacity: .8},
        hoverinfo: 'text',
        hovertext: points.map((p) => '<b>' + plain(y.name) + ' ' + grouped(p.y) + '</b><br>' +
            settings.map((s) => plain(s.name) + ' = ' + plain(resolve(p.row, s.at) ?? '-')).join('<br>')),
      });
      traces.push({
        type: 'scatter', mode: 'lines', name: plain(name), legendgroup: String(i), showlegend: false,
        x: line.map((p) => text(p.x)), y: line.map((p) => p.y),
        line: {color: colour(look, i), width: 2, dash: dashes[i % dashes.length]}, hoverinfo: 'skip',
      });
    });
    if (state.front && numeric(x)) {
      const best = front(series.flatMap((s) => s.points));
      traces.push({
        type: 'scatter', mode: 'lines+markers', name: 'front', x: best.map((p) => p.x), y: best.map((p) => p.y),
        line: {color: look.ink, width: 2, shape: 'hv'}, hoverinfo: 'skip',
        marker: {color: 'rgba(0,0,0,0)', size: 14, line: {color: look.ink, width: 2}},
      });
    }
    Plotly.react(chart, traces, layout(look, {
      height: 480,
      xaxis: axis(look, {title: {text: plain(x.name)}, type: !numeric(x) ? 'category' : state.logX ? 'log' : 'linear'}),
      yaxis: axis(look, {title: {text: plain(y.name)}, type: state.logY ? 'log' : 'linear'}),
    }), config);
  }
  drawn.push(draw);
  draw();
  chart.on('plotly_click', (event) => {
    const point = event.points[0];
    if (point.curveNumber % 2 !== 0 || !series[point.curveNumber / 2]) return;
    inspect(of, [series[point.curveNumber / 2].points[point.pointNumber].at]);
  });
}
