#pragma once
// What a figure shows, computed from rows: the values, their intervals and the order of both. How
// it looks is plot/draw.py's.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/figure/records.h"
#include "sim/sweep/condition.h"

namespace kpksim::figure {

enum class Kind : std::uint8_t { kBars, kLines, kScatter, kPareto, kHeatmap };

struct Request {
  std::optional<Kind> kind;             // else what suits x
  std::string x, y, z, series;          // expressions; z: the colour of a heat map
  std::vector<std::string> panels;      // settings
  std::vector<sweep::Condition> where;  // rows that are drawn
  std::string over_name, over_value;    // y in percent over these rows
  std::vector<std::pair<std::string, std::string>> names;  // what values are called, in their order
};

struct Point {
  std::string category;         // of x, if it has texts
  double x = 0, y = 0;          // y: of a heat map the number of the row of cells
  std::optional<double> value;  // of a heat map
  std::optional<Interval> interval;
  std::size_t rows = 0;  // of which it is the mean
};

struct Series {
  std::string name;
  std::vector<Point> points;
};

struct Panel {
  std::string title;
  std::vector<Series> series;
  std::vector<std::pair<double, double>> front;
};

struct Figure {
  Kind kind = Kind::kBars;
  std::string x_name, y_name, z_name, series_name;
  std::vector<std::string> x_categories, y_categories;  // empty: numbers
  std::vector<Panel> panels;
  std::size_t most_rows = 0;  // behind one point
};

// Points with the same x in the same series and panel are one, their mean, with the interval in
// which nine of ten of them lie. InputError: a name that no row has, a text where a number is
// needed, no row that is left, or one without the row that it is to be over.
Figure figure_of(std::vector<Record> records, const Request& request);

// For plot/draw.py.
nlohmann::ordered_json json_of(const Figure& figure);
// One line for each point: panel, series, x, y, low, high, rows.
std::string csv_of(const Figure& figure);

}  // namespace kpksim::figure
