#include "sim/workload/size.h"

#include <fmt/core.h>

#include <charconv>
#include <limits>
#include <string>

#include "sim/base/error.h"

namespace kpksim::workload {

std::uint64_t parse_size(std::string_view text, std::string_view place) {
  const auto fail = [&](const char* why) {
    return InputError(fmt::format("{}: '{}' is {}", place, text, why));
  };
  constexpr const char* kExpected =
      "not a size; use a number with K, M, G or T (or KiB, MiB, GiB, TiB: powers of 1024)";
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::result_out_of_range) throw fail("more than 64 bits");
  if (error != std::errc{}) throw fail(kExpected);
  std::string unit(rest, end);
  for (char& c : unit) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (unit.size() == 3 && unit.ends_with("ib")) unit.resize(1);
  if (unit.empty()) return number;
  const std::size_t power = std::string_view("kmgt").find(unit[0]);
  if (unit.size() != 1 || power == std::string_view::npos) throw fail(kExpected);
  const std::size_t shift = 10 * (power + 1);
  if (number > std::numeric_limits<std::uint64_t>::max() >> shift) throw fail("more than 64 bits");
  return number << shift;
}

}  // namespace kpksim::workload
