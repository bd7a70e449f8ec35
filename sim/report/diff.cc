#include "sim/report/diff.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "sim/base/json_text.h"
#include "sim/base/printable.h"
#include "sim/report/text_table.h"

namespace kpksim::report {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Single values by the names that lead there, in the order of the document.
using Leaves = std::vector<std::pair<std::string, json>>;

// What a part of a list is called: its name, if it has one, as phases do.
std::string name_of(const ordered_json& part, std::size_t index) {
  const bool named = part.is_object() && part.contains("name") && part["name"].is_string();
  return named ? part["name"].get<std::string>() : std::to_string(index);
}

void add(const ordered_json& value, const std::string& name, Leaves& out) {
  const auto below = [&](const std::string& part) {
    return name.empty() ? part : name + "." + part;
  };
  if (value.is_object()) {
    for (const auto& [key, part] : value.items()) add(part, below(key), out);
  } else if (value.is_array()) {
    for (std::size_t i = 0; i < value.size(); ++i) add(value[i], below(name_of(value[i], i)), out);
  } else {
    out.emplace_back(name, json::parse(value.dump(-1, ' ', true, json::error_handler_t::replace)));
  }
}

Leaves leaves(const ordered_json& document, const std::vector<std::string>& members) {
  Leaves out;
  for (const std::string& member : members) {
    if (document.contains(member)) add(document[member], member, out);
  }
  return out;
}

const json* find(const Leaves& leaves, const std::string& name) {
  const auto it = std::find_if(leaves.begin(), leaves.end(),
                               [&](const auto& leaf) { return leaf.first == name; });
  return it == leaves.end() ? nullptr : &it->second;
}

struct Line {
  std::string name, a, b, change;
};

std::string cell(const json* value, const json* other) {
  if (value == nullptr) return other->is_number() ? "0" : "-";
  if (value->is_number_unsigned()) return grouped(value->get<std::uint64_t>());
  return printable(value->is_string() ? value->get<std::string>() : dump(*value));
}

std::string change(const json* a, const json* b) {
  const auto number = [](const json* value) -> std::optional<double> {
    if (value == nullptr) return 0.0;
    if (!value->is_number()) return std::nullopt;
    return value->get<double>();
  };
  const auto from = number(a), to = number(b);
  if (!from || !to || *from == 0) return "";
  return fmt::format("{:+.2f} %", (*to / *from - 1) * 100);
}

std::vector<Line> changed(const Leaves& a, const Leaves& b) {
  std::vector<Line> out;
  const auto compare = [&](const std::string& name, const json* one, const json* other) {
    if (one != nullptr && other != nullptr && *one == *other) return;
    out.push_back({printable(name), cell(one, other), cell(other, one), change(one, other)});
  };
  for (const auto& [name, value] : a) compare(name, &value, find(b, name));
  for (const auto& [name, value] : b) {
    if (find(a, name) == nullptr) compare(name, nullptr, &value);
  }
  return out;
}

// Columns as wide as their widest cell.
void print(const std::string& title, const std::vector<Line>& lines, std::string& out) {
  if (lines.empty()) return;
  std::size_t name = 0, a = 1, b = 1;
  for (const Line& l : lines) {
    name = std::max(name, columns(l.name));
    a = std::max(a, columns(l.a));
    b = std::max(b, columns(l.b));
  }
  out += title + "\n";
  for (const Line& l : lines) {
    std::string text = fmt::format("  {}  {}  {}  {}", pad_right(l.name, name), pad_left(l.a, a),
                                   pad_left(l.b, b), l.change);
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
}

std::string run_title(const ordered_json& runs, std::size_t i) {
  if (i >= runs.size()) return "-";
  return printable(
      fmt::format("{}, {}", runs[i]["workload"]["name"].get<std::string>(), policy_name(runs[i])));
}

// "8 keys, dedicated"
std::string row_title(const ordered_json& row) {
  return fmt::format("{} keys, {}", row["budget"].get<unsigned>(),
                     row["strategy"].get<std::string>());
}

// A row's numbers. Lists of classes under one key are texts.
Leaves row_leaves(const ordered_json& row, bool contexts) {
  ordered_json numbers = row;
  for (const char* key : {"budget", "strategy"}) numbers.erase(key);
  if (!contexts) numbers.erase("contexts");
  if (numbers.contains("shared")) {
    std::string text;
    for (const ordered_json& group : numbers["shared"]) {
      for (std::size_t i = 0; i < group.size(); ++i) {
        text += (i > 0 ? " + " : text.empty() ? "" : ", ") + group[i].get<std::string>();
      }
    }
    numbers["shared"] = text.empty() ? "nothing" : text;
  }
  Leaves out;
  add(numbers, "", out);
  return out;
}

std::string differences_of_keys(const ordered_json& a, const ordered_json& b, bool contexts) {
  const std::vector<std::string> setting = {"version", "workload", "configuration", "classes_file",
                                            "classes"};
  std::string out;
  print("Configuration", changed(leaves(a, setting), leaves(b, setting)), out);
  const std::vector<std::string> whole = {"unprotected_cycles"};
  print("Without keys for classes", changed(leaves(a, whole), leaves(b, whole)), out);
  const auto row_of = [](const ordered_json& document, const std::string& title) {
    const ordered_json& rows = document["rows"];
    const auto found = std::find_if(
        rows.begin(), rows.end(), [&](const ordered_json& row) { return row_title(row) == title; });
    return found == rows.end() ? nullptr : &*found;
  };
  for (const ordered_json& row : a["rows"]) {
    const std::string title = row_title(row);
    const ordered_json* const other = row_of(b, title);
    if (other == nullptr) {
      out += title + ": only in the first\n";
    } else {
      print(title, changed(row_leaves(row, contexts), row_leaves(*other, contexts)), out);
    }
  }
  for (const ordered_json& row : b["rows"]) {
    if (row_of(a, row_title(row)) == nullptr) out += row_title(row) + ": only in the second\n";
  }
  if (a["finding"] != b["finding"]) {
    out += fmt::format("Finding\n  {}\n  {}\n", printable(a["finding"].get<std::string>()),
                       printable(b["finding"].get<std::string>()));
  }
  return out;
}

}  // namespace

std::string differences(const ordered_json& a, const ordered_json& b, bool phases) {
  std::string out;
  if (a.contains("rows")) return differences_of_keys(a, b, phases);
  if (!a.contains("runs")) {
    Leaves one, other;
    add(a, "", one);
    add(b, "", other);
    print("Configuration", changed(one, other), out);
    return out;
  }
  const std::vector<std::string> setting = {"version", "workload", "configuration"};
  std::vector<std::string> numbers = {"violations", "total"};
  if (phases) numbers.emplace_back("phases");
  const ordered_json& left = a["runs"];
  const ordered_json& right = b["runs"];
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    std::string text;
    const bool both = i < left.size() && i < right.size();
    if (both) {
      print("Configuration", changed(leaves(left[i], setting), leaves(right[i], setting)), text);
      print("Numbers", changed(leaves(left[i], numbers), leaves(right[i], numbers)), text);
    }
    if (both && text.empty()) continue;
    const std::string one = run_title(left, i), other = run_title(right, i);
    out += fmt::format("run {}: {}\n", i + 1, one == other ? one : one + "  |  " + other) + text;
  }
  return out;
}

}  // namespace kpksim::report
