#include "sim/base/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace kpksim {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string suggest(std::string_view given, const std::vector<std::string>& known) {
  constexpr std::size_t kTypos = 3;
  constexpr std::size_t kReadable = 1500;  // characters: a longer list hides the message it ends
  constexpr std::size_t kNearest = 5;
  std::vector<std::pair<std::size_t, std::string>> near;
  near.reserve(known.size());
  for (const std::string& name : known) {
    near.emplace_back(edit_distance(given, name), name);
  }
  std::stable_sort(near.begin(), near.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  if (!near.empty() && near.front().first <= kTypos) {
    return fmt::format("; did you mean '{}'?", near.front().second);
  }
  std::string all = fmt::format("; known: {}", fmt::join(known, ", "));
  if (all.size() <= kReadable) {
    return all;
  }
  std::vector<std::string> nearest;
  for (std::size_t i = 0; i < kNearest; ++i) {
    nearest.push_back(near[i].second);
  }
  return fmt::format("; the nearest of {}: {}", known.size(), fmt::join(nearest, ", "));
}

}  // namespace kpksim
