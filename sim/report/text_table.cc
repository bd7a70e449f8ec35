#include "sim/report/text_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/base/printable.h"

namespace kpksim::report {
namespace {

constexpr std::size_t kGap = 2;  // between columns

}  // namespace

std::string grouped(std::uint64_t n) {
  std::string digits = std::to_string(n);
  for (std::size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string memory_size(std::uint64_t bytes) {
  std::size_t unit = 0;
  for (; unit < 4 && bytes != 0 && bytes % 1024 == 0; ++unit) bytes /= 1024;
  constexpr const char* kUnits[] = {"bytes", "KB", "MB", "GB", "TB"};
  return fmt::format("{} {}", bytes, kUnits[unit]);
}

std::string line(std::string_view text) { return printable(text) + "\n"; }

std::string wrapped(const std::string& text, const TableStyle& style) {
  constexpr std::size_t kPlainWidth = 100;
  constexpr std::string_view kIndent = "  ";
  const std::size_t width = std::max<std::size_t>(style.width == 0 ? kPlainWidth : style.width, 40);
  std::string out, current;
  std::stringstream words(printable(text));
  for (std::string word; words >> word;) {
    if (!current.empty() && columns(current) + 1 + columns(word) > width) {
      out += current + "\n";
      current = kIndent;
      current += word;
    } else {
      current += (current.empty() ? "" : " ") + word;
    }
  }
  return out + current + "\n";
}

std::vector<std::string> policy_label(const nlohmann::ordered_json& run) {
  const nlohmann::ordered_json& c = run["configuration"];
  return {c["protection"].get<std::string>(), c["batching"].get<bool>() ? "batched" : "",
          c["allocator"].get<std::string>(), c["linear_map"].get<std::string>()};
}

std::string policy_name(const nlohmann::ordered_json& run, std::string_view separator) {
  const nlohmann::ordered_json& c = run["configuration"];
  return fmt::format(
      "{}{}{}{}{}{}", c["protection"].get<std::string>(), c["batching"].get<bool>() ? "+batch" : "",
      separator, c["allocator"].get<std::string>(), separator, c["linear_map"].get<std::string>());
}

Table::Table(std::vector<std::vector<std::string>> labels) : labels_(std::move(labels)) {
  for (std::vector<std::string>& column : labels_) {
    for (std::string& text : column) text = printable(text);
  }
}

void Table::section(std::string_view title) { sections_.push_back({printable(title), {}}); }

void Table::row(Row row) {
  row.name = printable(row.name);
  for (std::string& cell : row.cells) cell = printable(cell);
  sections_.back().rows.push_back(std::move(row));
}

std::string Table::print(const TableStyle& style) const {
  std::size_t first = 0;
  for (const Section& s : sections_) {
    for (const Row& r : s.rows) first = std::max(first, columns(r.name) + 2);
  }
  std::string out;
  for (std::size_t from = 0; from < labels_.size();) {
    std::size_t to = from, used = first;
    while (to < labels_.size() &&
           (to == from || style.width == 0 || used + kGap + width(to) <= style.width)) {
      used += kGap + width(to++);
    }
    block(from, to, first, style, out);
    from = to;
  }
  return out;
}

std::size_t Table::width(std::size_t column) const {
  std::size_t w = 0;
  for (const std::string& text : labels_[column]) w = std::max(w, columns(text));
  for (const Section& s : sections_) {
    for (const Row& r : s.rows) w = std::max(w, columns(r.cells[column]));
  }
  return w;
}

void Table::block(std::size_t from, std::size_t to, std::size_t first, const TableStyle& style,
                  std::string& out) const {
  for (std::size_t i = 0; i < labels_[from].size(); ++i) {
    std::string text(first, ' ');
    for (std::size_t c = from; c < to; ++c) text += pad_left(labels_[c][i], kGap + width(c));
    out += text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  }
  for (const Section& s : sections_) {
    if (s.rows.empty()) continue;
    out += style.colour ? fmt::format("\033[1m{}\033[0m\n", s.title) : s.title + "\n";
    for (const Row& r : s.rows) {
      out += "  " + pad_right(r.name, first - 2);
      for (std::size_t c = from; c < to; ++c) out += pad_left(r.cells[c], kGap + width(c));
      out += "\n";
    }
  }
  out += "\n";
}

}  // namespace kpksim::report
