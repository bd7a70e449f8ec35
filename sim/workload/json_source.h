#pragma once
// For the files that read workloads written as JSON.

#include <fmt/core.h>

#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "sim/base/error.h"
#include "sim/base/types.h"
#include "sim/workload/size.h"

namespace kpksim::workload {

inline constexpr std::uint64_t kUserAddressEnd = 1ull << 48;  // user addresses are 48 bits wide

// An object of a workload file, an operation mostly, and where it stands: what its members say,
// read and checked. Each throws InputError with the member's place.
struct JsonSource {
  using json = nlohmann::json;

  const json& object;
  std::string place;  // "file: /pointer"

  bool has(const char* key) const { return object.contains(key); }
  std::string text(const char* key, const char* otherwise = "") const {
    return object.value(key, otherwise);
  }
  std::string at(const char* key) const { return fmt::format("{}/{}", place, key); }
  [[noreturn]] void fail(const char* key, const std::string& what) const {
    throw InputError(fmt::format("{}: {}", at(key), what));
  }

  std::uint64_t size(const char* key) const {
    const json& value = object.at(key);
    const std::string given = value.is_string() ? value.get<std::string>() : value.dump();
    const std::uint64_t bytes = parse_size(given, at(key));
    if (bytes > kMaxSize) fail(key, fmt::format("'{}' is more than 128T", given));
    return bytes;
  }
  std::uint64_t positive(const char* key) const {
    const std::uint64_t bytes = size(key);
    if (bytes == 0) fail(key, "must be more than 0");
    return bytes;
  }
  std::uint64_t pages(const char* key) const {
    const std::uint64_t bytes = positive(key);
    check_aligned(key, bytes);
    return bytes;
  }
  std::uint64_t page_offset(const char* key) const {
    if (!has(key)) return 0;
    const std::uint64_t bytes = size(key);
    check_aligned(key, bytes);
    return bytes;
  }
  std::uint64_t address(const char* key, std::uint64_t length) const {
    const std::string given = text(key);
    std::uint64_t value = 0;
    const char* const end = given.data() + given.size();
    const bool prefixed = given.starts_with("0x");
    const auto [rest, error] = std::from_chars(given.data() + (prefixed ? 2 : 0), end, value, 16);
    if (!prefixed || error != std::errc{} || rest != end) {
      fail(key, fmt::format("'{}' is not an address; write it as 0x7f0000000000", given));
    }
    check_aligned(key, value);
    if (value == 0 || value >= kUserAddressEnd || length > kUserAddressEnd - value) {
      fail(key, fmt::format("'{}' and the size behind it are not in the 48 bits of user addresses",
                            given));
    }
    return value;
  }
  void check_aligned(const char* key, std::uint64_t value) const {
    if (value % kPageSize != 0) fail(key, fmt::format("{} is not a multiple of 4K", value));
  }
};

}  // namespace kpksim::workload
