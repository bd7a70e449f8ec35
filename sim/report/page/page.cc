#include "sim/report/page/page.h"

#include <fmt/core.h>

#include "sim/base/printable.h"
#include "sim/report/text_table.h"

namespace kpksim::report::page {

namespace {

Json texts(const std::vector<std::string>& list) {
  Json out = Json::array();
  for (const std::string& text : list) out.push_back(printable(text));
  return out;
}

}  // namespace

Places below(const std::string& at, const Places& places) {
  Places out;
  out.reserve(places.size());
  for (const std::string& place : places) out.push_back(at + place);
  return out;
}

Json figure(const Json& value, const Places& at, const std::string& how, const std::string& shown) {
  Json out = {{"v", value}, {"at", at}};
  if (!how.empty()) out["how"] = how;
  if (!shown.empty()) out["t"] = printable(shown);
  return out;
}

std::string percent_text(double value) { return fmt::format("{:+.2f} %", value); }

Json percent(double value, const Places& at, const std::string& how) {
  return figure(value, at, how, percent_text(value));
}

double percent_over(std::uint64_t value, std::uint64_t base) {
  return (static_cast<double>(value) / static_cast<double>(base) - 1) * 100;
}

Sentence& Sentence::say(const std::string& text) {
  parts_.push_back(printable(text));
  return *this;
}

Sentence& Sentence::name(const std::string& of) {
  parts_.push_back({{"name", printable(of)}});
  return *this;
}

Sentence& Sentence::number(const std::string& shown, const Places& at, const std::string& how) {
  Json part = {{"t", printable(shown)}, {"at", at}};
  if (!how.empty()) part["how"] = how;
  parts_.push_back(std::move(part));
  return *this;
}

Sentence& Sentence::number(std::uint64_t n, const Places& at, const std::string& how) {
  return number(grouped(n), at, how);
}

Json Sentence::json(const std::string& weight) const {
  return {{"weight", weight}, {"text", parts_}};
}

Json Chart::json() const {
  Json out = {{"block", "chart"},
              {"title", printable(title)},
              {"note", printable(note)},
              {"form", form},
              {"category_title", printable(category_title)},
              {"value_title", printable(value_title)},
              {"log", log},
              {"log_offered", log_offered},
              {"categories", texts(categories)}};
  out["series"] = Json::array();
  for (const Series& s : series) {
    Json one = {{"name", printable(s.name)}, {"values", s.values}, {"at", s.at}};
    if (!s.how.empty()) one["how"] = s.how;
    if (!s.low.empty()) one["low"] = s.low, one["high"] = s.high;
    if (!s.x.empty()) one["x"] = s.x;
    if (s.slot >= 0) one["slot"] = s.slot;
    if (s.hidden) one["hidden"] = true;
    out["series"].push_back(std::move(one));
  }
  return out;
}

Json Table::json() const {
  Json out = {{"block", "table"},          {"title", printable(title)}, {"note", printable(note)},
              {"first", printable(first)}, {"columns", texts(columns)}, {"folded", folded}};
  out["rows"] = Json::array();
  for (const Row& row : rows) {
    Json one = {{"name", printable(row.name)}, {"cells", row.cells}};
    if (!row.group.empty()) one["group"] = printable(row.group);
    if (!row.note.empty()) one["note"] = printable(row.note);
    out["rows"].push_back(std::move(one));
  }
  return out;
}

Json Remarks::json() const {
  return {{"block", "remarks"},
          {"title", printable(title)},
          {"texts", report::page::texts(texts)},
          {"folded", folded}};
}

Json Chapter::json() const {
  Json out = {{"title", printable(title)}, {"facts", Json::array()}};
  for (const auto& [name, value] : facts) out["facts"].push_back({name, printable(value)});
  out["findings"] = findings;
  out["blocks"] = blocks;
  return out;
}

}  // namespace kpksim::report::page
