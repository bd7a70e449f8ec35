#include "sim/figure/figure.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/figure/expression.h"
#include "sim/sweep/pareto.h"
#include "sim/sweep/totals.h"

namespace kpksim::figure {
namespace {

// What the user calls a value; its own text otherwise.
class Names {
 public:
  explicit Names(const Request& request) : given_(request.names) {}

  std::string of(const std::string& value) const {
    const std::size_t at = place(value);
    return at == given_.size() ? value : given_[at].second;
  }
  // Those that were given first, in their order. Then numbers by their size, texts as they came.
  void sort(std::vector<std::string>& values) const {
    const bool numbers = std::all_of(values.begin(), values.end(), [](const std::string& value) {
      return sweep::number(value).has_value();
    });
    std::stable_sort(values.begin(), values.end(), [&](const std::string& a, const std::string& b) {
      const std::size_t i = place(a), j = place(b);
      if (i != j) return i < j;
      return numbers && *sweep::number(a) < *sweep::number(b);
    });
  }

 private:
  std::size_t place(const std::string& value) const {
    return static_cast<std::size_t>(
        std::find_if(given_.begin(), given_.end(),
                     [&](const auto& name) { return name.first == value; }) -
        given_.begin());
  }

  const std::vector<std::pair<std::string, std::string>>& given_;
};

std::vector<std::string> values_of(const std::vector<Record>& records, const Expression& setting) {
  std::vector<std::string> out;
  for (const Record& record : records) {
    const std::string value = setting.setting(record);
    if (std::find(out.begin(), out.end(), value) == out.end()) out.push_back(value);
  }
  return out;
}

// Totals of runs, unless the phases are asked for.
void keep_phases(std::vector<Record>& records, const Request& request) {
  const auto names_phase = [](const std::string& name) { return name == kPhase; };
  const bool phases = names_phase(request.x) || names_phase(request.y) ||
                      names_phase(request.series) ||
                      std::any_of(request.panels.begin(), request.panels.end(), names_phase);
  const bool chosen = std::any_of(request.where.begin(), request.where.end(),
                                  [&](const auto& c) { return names_phase(c.name); });
  std::erase_if(records, [&](const Record& record) {
    const auto phase = record.keys.find(kPhase);
    if (phase == record.keys.end() || chosen) return false;
    return (phase->second == kTotal) == phases;
  });
}

// The named value of each row, over that of the row that differs from it in `over` alone.
class Over {
 public:
  Over(const std::vector<Record>& all, const Request& request, const Expression& value)
      : name_(request.over_name), value_(request.over_value) {
    if (name_.empty()) return;
    bool key = false, met = false;
    std::vector<std::string> known, values;
    for (const Record& record : all) {
      for (const auto& [k, v] : record.keys) known.push_back(k);
      const auto found = record.keys.find(name_);
      if (found == record.keys.end()) continue;
      key = true;
      values.push_back(found->second);
      if (found->second != value_) continue;
      met = true;
      if (const auto number = value.number(record)) base_[others(record)] = *number;
    }
    const auto distinct = [](std::vector<std::string>& list) {
      std::sort(list.begin(), list.end());
      list.erase(std::unique(list.begin(), list.end()), list.end());
    };
    distinct(known);
    distinct(values);
    if (!key) {
      throw InputError(
          fmt::format("--over: '{}' is not what tells rows apart{}", name_, suggest(name_, known)));
    }
    if (!met) {
      throw InputError(
          fmt::format("--over: no row has {}={}{}", name_, value_, suggest(value_, values)));
    }
  }

  bool asked() const { return !name_.empty(); }
  std::optional<double> percent(const Record& record, double value) const {
    const auto base = base_.find(others(record));
    if (base == base_.end()) {
      throw InputError(fmt::format("--over {}={}: a row has no counterpart: {}", name_, value_,
                                   fmt::join(texts(record), ", ")));
    }
    if (base->second == 0) return std::nullopt;
    return (value / base->second - 1) * 100;
  }

 private:
  std::map<std::string, std::string> others(const Record& record) const {
    auto keys = record.keys;
    keys.erase(name_);
    return keys;
  }
  static std::vector<std::string> texts(const Record& record) {
    std::vector<std::string> out;
    for (const auto& [k, v] : record.keys) out.push_back(k + "=" + v);
    return out;
  }

  std::string name_, value_;
  std::map<std::map<std::string, std::string>, double> base_;
};

// The value below which `share` of the sorted `values` lie, between its neighbours.
double quantile(const std::vector<double>& values, double share) {
  const double at = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  if (below + 1 >= values.size()) return values.back();
  return values[below] + (at - static_cast<double>(below)) * (values[below + 1] - values[below]);
}

// One point for several rows.
class Mean {
 public:
  void add(double value, const std::optional<Interval>& interval, bool share) {
    values_.push_back(value);
    interval_ = interval;
    share_ = share;
  }
  void into(double& value, Point& point) {
    double sum = 0;
    for (const double v : values_) sum += v;
    value = sum / static_cast<double>(values_.size());
    point.rows = values_.size();
    if (values_.size() == 1) {
      point.interval = interval_;
      return;
    }
    std::sort(values_.begin(), values_.end());
    if (share_ || values_.front() == values_.back()) return;
    constexpr double kLow = 0.05, kHigh = 0.95;
    point.interval = Interval{quantile(values_, kLow), quantile(values_, kHigh)};
  }

 private:
  std::vector<double> values_;
  std::optional<Interval> interval_;
  bool share_ = false;
};

struct Drawing {
  const Request& request;
  const Names names;
  const Expression x, value;
  const std::optional<Expression> row;  // of a heat map
  const Over over;
  Kind kind;
  bool categories;                                // x has texts
  std::vector<std::string> x_values, row_values;  // in their order

  // The value that is drawn, and its interval.
  std::optional<std::pair<double, std::optional<Interval>>> value_of(const Record& record) const {
    auto number = value.number(record);
    if (number && over.asked()) number = over.percent(record, *number);
    if (!number) return std::nullopt;
    return std::pair{*number, over.asked() ? std::nullopt : value.interval(record)};
  }
};

std::size_t place(const std::vector<std::string>& values, const std::string& value) {
  return static_cast<std::size_t>(std::find(values.begin(), values.end(), value) - values.begin());
}

std::vector<Point> scattered(const Drawing& drawing, const std::vector<Record>& records) {
  std::vector<Point> out;
  for (const Record& record : records) {
    const auto x = drawing.x.number(record);
    const auto y = drawing.value_of(record);
    if (!x || !y) continue;
    Point point;
    point.x = *x;
    point.y = y->first;
    point.interval = y->second;
    point.rows = 1;
    out.push_back(point);
  }
  return out;
}

std::vector<Point> joined(const Drawing& drawing, const std::vector<Record>& records) {
  std::map<std::pair<std::size_t, std::size_t>, Mean> means;  // by places of x and the row of cells
  for (const Record& record : records) {
    const auto y = drawing.value_of(record);
    if (!y) continue;
    const std::size_t column = place(drawing.x_values, drawing.x.setting(record));
    const std::size_t row =
        drawing.row ? place(drawing.row_values, drawing.row->setting(record)) : 0;
    means[{row, column}].add(y->first, y->second, record.shares.contains(drawing.value.text()));
  }
  std::vector<Point> out;
  for (auto& [at, mean] : means) {
    Point point;
    const std::string& text = drawing.x_values[at.second];
    point.category = drawing.names.of(text);
    point.x = drawing.categories ? static_cast<double>(at.second) : *sweep::number(text);
    double value = 0;
    mean.into(value, point);
    if (drawing.row) {
      point.y = static_cast<double>(at.first);
      point.value = value;
    } else {
      point.y = value;
    }
    out.push_back(std::move(point));
  }
  return out;
}

std::vector<std::pair<double, double>> front_of(const std::vector<Series>& series) {
  sweep::ParetoFront front;
  for (const Series& one : series) {
    for (const Point& point : one.points) front.add(0, {point.x, point.y});
  }
  std::vector<std::pair<double, double>> out;
  for (const auto& member : front.members()) {
    out.emplace_back(member.objectives[0], member.objectives[1]);
  }
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<Series> series_of(const Drawing& drawing, const std::vector<Record>& records,
                              const std::optional<Expression>& by,
                              const std::vector<std::string>& values) {
  std::vector<Series> out;
  for (const std::string& value : values) {
    std::vector<Record> own;
    for (const Record& record : records) {
      if (!by || by->setting(record) == value) own.push_back(record);
    }
    const bool each = drawing.kind == Kind::kScatter || drawing.kind == Kind::kPareto;
    Series one{drawing.names.of(value), each ? scattered(drawing, own) : joined(drawing, own)};
    if (!one.points.empty()) out.push_back(std::move(one));
  }
  return out;
}

// "neoverse-v1, cores 64": a number says nothing without its name.
std::string title_of(const Record& record, const std::vector<Expression>& panels,
                     const Names& names) {
  std::vector<std::string> parts;
  for (const Expression& panel : panels) {
    const std::string value = panel.setting(record), full = panel.text() + "=" + value;
    const std::string name = names.of(full) != full ? names.of(full) : names.of(value);
    parts.push_back(name == value && sweep::number(value) ? panel.text() + " " + value : name);
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::vector<Panel> panels_of(const Drawing& drawing, const std::vector<Record>& records) {
  const std::vector<std::string> everything = {""};
  std::optional<Expression> by;
  if (!drawing.request.series.empty()) by.emplace("--series", drawing.request.series, records);
  if (by && !by->is_setting()) {
    throw InputError(fmt::format("--series: '{}' is a total; expected a setting{}", by->text(),
                                 suggest(by->text(), settings_of(records))));
  }
  std::vector<std::string> values = by ? values_of(records, *by) : everything;
  drawing.names.sort(values);
  std::vector<Expression> settings;
  for (const std::string& name : drawing.request.panels) {
    settings.emplace_back("--panels", name, records);
  }
  std::vector<std::string> titles;
  std::map<std::string, std::vector<Record>> parts;
  for (const Record& record : records) {
    const std::string title = title_of(record, settings, drawing.names);
    if (!parts.contains(title)) titles.push_back(title);
    parts[title].push_back(record);
  }
  std::vector<Panel> out;
  for (const std::string& title : titles) {
    Panel panel{title, series_of(drawing, parts[title], by, values), {}};
    if (drawing.kind == Kind::kPareto) panel.front = front_of(panel.series);
    out.push_back(std::move(panel));
  }
  return out;
}

Kind kind_of(const Request& request, const Expression& x, bool numbers) {
  if (request.kind) return *request.kind;
  if (!request.z.empty()) return Kind::kHeatmap;
  if (!x.is_setting()) return Kind::kScatter;
  return numbers ? Kind::kLines : Kind::kBars;
}

void check(Kind kind, const Request& request, const Expression& x) {
  if (kind == Kind::kHeatmap && request.z.empty())
    throw InputError("--kind heatmap: expected --z, the total that the colours show");
  if (kind == Kind::kHeatmap && !request.series.empty())
    throw InputError("--series: a heat map has none; --panels draws one for each value");
  if (kind != Kind::kHeatmap && !request.z.empty())
    throw InputError("--z is the colour of a heat map; other kinds have none");
  const bool each = kind == Kind::kScatter || kind == Kind::kPareto;
  if (!each && !x.is_setting()) {
    throw InputError(fmt::format(
        "--x: '{}' is a total, whose values are points of --kind scatter or pareto", x.text()));
  }
}

}  // namespace

Figure figure_of(std::vector<Record> records, const Request& request) {
  keep_phases(records, request);
  const std::vector<Record> all = records;
  for (const sweep::Condition& condition : request.where) {
    const Expression name("--where", condition.name, all);
    std::erase_if(records, [&](const Record& record) {
      if (name.is_setting()) return !condition.holds(name.setting(record), "--where");
      const auto number = name.number(record);
      return !number || !condition.holds(fmt::format("{}", *number), "--where");
    });
    if (records.empty()) {
      throw InputError(fmt::format("--where {}{}{}: no row is left", condition.name,
                                   condition.relation, fmt::join(condition.values, "|")));
    }
  }
  if (records.empty()) throw InputError("no row has a result");
  const Names names(request);
  const Expression x("--x", request.x, all);
  std::vector<std::string> x_values =
      x.is_setting() ? values_of(records, x) : std::vector<std::string>{};
  const bool numbers = std::all_of(x_values.begin(), x_values.end(), [](const std::string& text) {
    return sweep::number(text).has_value();
  });
  const Kind kind = kind_of(request, x, numbers);
  check(kind, request, x);
  const bool heat = kind == Kind::kHeatmap;
  names.sort(x_values);
  std::optional<Expression> row;
  if (heat) row.emplace("--y", request.y, all);
  if (row && !row->is_setting())
    throw InputError("--y: '" + request.y +
                     "' is a total; a heat map's rows are a setting's values");
  std::vector<std::string> row_values = row ? values_of(records, *row) : std::vector<std::string>{};
  names.sort(row_values);
  const Expression value(heat ? "--z" : "--y", heat ? request.z : request.y, all);
  const Drawing drawing{request,  names,
                        x,        value,
                        row,      Over(all, request, value),
                        kind,     kind == Kind::kBars || heat || !numbers,
                        x_values, row_values};
  Figure figure;
  figure.kind = kind;
  figure.x_name = request.x;
  figure.y_name = request.y;
  figure.z_name = request.z;
  figure.series_name = request.series;
  if (drawing.categories) {
    for (const std::string& v : x_values) figure.x_categories.push_back(names.of(v));
  }
  for (const std::string& v : row_values) figure.y_categories.push_back(names.of(v));
  figure.panels = panels_of(drawing, records);
  for (const Panel& panel : figure.panels) {
    for (const Series& series : panel.series) {
      for (const Point& point : series.points)
        figure.most_rows = std::max(figure.most_rows, point.rows);
    }
  }
  return figure;
}

}  // namespace kpksim::figure
