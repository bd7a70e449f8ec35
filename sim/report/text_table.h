#pragma once
// What the views of a result document for people share: a table of sections over columns, numbers,
// and paragraphs.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "sim/report/table.h"

namespace kpksim::report {

// 1234567 as "1,234,567".
std::string grouped(std::uint64_t n);

// A size in bytes, in the largest unit that divides it: "8 GB" (of 2^30 bytes).
std::string memory_size(std::uint64_t bytes);

// `text` as one line. Here, in wrapped() and in Table names from files become printable: every text
// of a view goes through one of them.
std::string line(std::string_view text);
// `text` in lines of at most the terminal's width, the further ones indented.
std::string wrapped(const std::string& text, const TableStyle& style);

// A part of a policy with all its parameters, from its object in a document.
std::string part_text(const nlohmann::ordered_json& part);
// The policy of a run as the label of a column: a line for its name, then for each part and its
// parameters, empty ones for what it has not.
std::vector<std::string> policy_label(const nlohmann::ordered_json& run);
// Its name, or as --policy takes it.
std::string policy_name(const nlohmann::ordered_json& run);
// Of a core of x86-64: tables then have that architecture's names.
bool is_x86(const nlohmann::ordered_json& run);

struct Row {
  std::string name;
  std::vector<std::string> cells;
};

class Table {
 public:
  // `labels`: for each column, the same number of lines.
  explicit Table(std::vector<std::vector<std::string>> labels);

  void section(std::string_view title);
  void row(Row row);

  // Columns that do not fit side by side follow in further blocks.
  std::string print(const TableStyle& style) const;

 private:
  struct Section {
    std::string title;
    std::vector<Row> rows;
  };

  std::size_t width(std::size_t column) const;
  void block(std::size_t from, std::size_t to, std::size_t first, const TableStyle& style,
             std::string& out) const;

  std::vector<std::vector<std::string>> labels_;
  std::vector<Section> sections_;
};

}  // namespace kpksim::report
