#include "sim/workload/size.h"

#include <fmt/core.h>

#include <charconv>
#include <limits>

#include "sim/base/error.h"

namespace kpksim::workload {

std::uint64_t parse_size(std::string_view text, std::string_view place) {
  const auto fail = [&]() {
    return InputError(
        fmt::format("{}: '{}' is not a size; use a number with K, M, G or T", place, text));
  };
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{}) throw fail();
  if (rest == end) return number;
  const std::size_t unit = std::string_view("KMGT").find(*rest);
  if (unit == std::string_view::npos || rest + 1 != end) throw fail();
  const std::size_t shift = 10 * (unit + 1);
  if (number > std::numeric_limits<std::uint64_t>::max() >> shift) throw fail();
  return number << shift;
}

}  // namespace kpksim::workload
