// Figures as JSON and CSV.

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/base/printable.h"
#include "sim/figure/figure.h"

namespace kpksim::figure {
namespace {

using nlohmann::ordered_json;

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::kBars:
      return "bars";
    case Kind::kLines:
      return "lines";
    case Kind::kScatter:
      return "scatter";
    case Kind::kPareto:
      return "pareto";
    case Kind::kHeatmap:
      return "heatmap";
  }
  return "";
}

ordered_json json_of(const Point& point) {
  ordered_json out = {{"x", point.x}, {"y", point.y}};
  if (point.value) out["value"] = *point.value;
  if (point.interval) {
    out["low"] = point.interval->low;
    out["high"] = point.interval->high;
  }
  return out;
}

// Six digits are more than a figure shows, and a count has all of its own.
std::string number(double value) {
  constexpr double kExact = 9007199254740992;  // 2^53
  if (std::abs(value) < kExact && std::trunc(value) == value)
    return fmt::format("{}", static_cast<std::int64_t>(value));
  return fmt::format("{:.6g}", value);
}

}  // namespace

ordered_json json_of(const Figure& figure) {
  ordered_json out = {{"kind", name_of(figure.kind)}, {"panels", ordered_json::array()}};
  if (!figure.x_categories.empty()) out["x_categories"] = figure.x_categories;
  if (!figure.y_categories.empty()) out["y_categories"] = figure.y_categories;
  for (const Panel& panel : figure.panels) {
    ordered_json one = {{"title", panel.title}, {"series", ordered_json::array()}};
    for (const Series& series : panel.series) {
      ordered_json points = ordered_json::array();
      for (const Point& point : series.points) points.push_back(json_of(point));
      one["series"].push_back({{"name", series.name}, {"points", std::move(points)}});
    }
    if (!panel.front.empty()) one["front"] = panel.front;
    out["panels"].push_back(std::move(one));
  }
  return out;
}

std::string csv_of(const Figure& figure) {
  const bool heat = figure.kind == Kind::kHeatmap;
  std::string out = heat ? "panel,x,y,value,low,high,rows\n" : "panel,series,x,y,low,high,rows\n";
  for (const Panel& panel : figure.panels) {
    for (const Series& series : panel.series) {
      for (const Point& point : series.points) {
        out += csv_field(panel.title) + ",";
        if (!heat) out += csv_field(series.name) + ",";
        out += (figure.x_categories.empty() ? number(point.x) : csv_field(point.category)) + ",";
        out += heat ? csv_field(figure.y_categories[static_cast<std::size_t>(point.y)]) + "," +
                          number(*point.value)
                    : number(point.y);
        out += point.interval ? fmt::format(",{},{}", number(point.interval->low),
                                            number(point.interval->high))
                              : ",,";
        out += fmt::format(",{}\n", point.rows);
      }
    }
  }
  return out;
}

}  // namespace kpksim::figure
