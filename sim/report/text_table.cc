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

std::string part_text(const nlohmann::ordered_json& part) {
  std::string text = part["name"].get<std::string>();
  for (const auto& [name, value] : part.items()) {
    if (name != "name") text += fmt::format(":{}={}", name, value.get<std::string>());
  }
  return text;
}

// Parameters that were given stand below their part.
std::vector<std::string> policy_label(const nlohmann::ordered_json& run) {
  const nlohmann::ordered_json& c = run["configuration"];
  std::vector<std::string> label;
  std::stringstream parts(c["policy"].get<std::string>());
  for (std::string part; std::getline(parts, part, ',');) {
    const std::size_t colon = part.find(':');
    label.push_back(part.substr(0, colon));
    label.push_back(colon == std::string::npos ? "" : part.substr(colon + 1));
  }
  constexpr std::size_t kLines = 2 * 4;  // of four parts, the last of which may be left out
  label.resize(kLines);
  // The window stands below the protection.
  const std::string name = c["protection"]["name"].get<std::string>();
  const std::string window = label[0].size() > name.size() ? label[0].substr(name.size()) : "";
  label[0] = name;
  label.insert(label.begin() + 1, window);
  label.insert(label.begin(), c.value("policy_name", std::string()));
  return label;
}

bool is_x86(const nlohmann::ordered_json& run) {
  return run["configuration"].contains("architecture");
}

std::string policy_name(const nlohmann::ordered_json& run) {
  const nlohmann::ordered_json& c = run["configuration"];
  return c.value("policy_name", c["policy"].get<std::string>());
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
    // What none of these columns has needs no line.
    if (std::all_of(labels_.begin() + static_cast<std::ptrdiff_t>(from),
                    labels_.begin() + static_cast<std::ptrdiff_t>(to),
                    [&](const auto& label) { return label[i].empty(); }))
      continue;
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
