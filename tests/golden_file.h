#pragma once
// Reads the golden vectors: one JSON document a line, gzip.

#include <gtest/gtest.h>
#include <zlib.h>

#include <nlohmann/json.hpp>
#include <string>

namespace kpksim {

template <class Fn>
void for_each_record(const std::string& name, Fn&& fn) {
  const std::string path = std::string(KPKSIM_SOURCE_DIR) + "/tests/golden/" + name;
  gzFile file = gzopen(path.c_str(), "rb");
  ASSERT_NE(file, nullptr) << path;
  std::string buffer(1 << 20, '\0');
  while (gzgets(file, buffer.data(), static_cast<int>(buffer.size())) != nullptr) {
    fn(nlohmann::json::parse(buffer.c_str()));
  }
  gzclose(file);
}

inline std::uint64_t hex(const nlohmann::json& value) {
  return std::stoull(value.get<std::string>(), nullptr, 16);
}

}  // namespace kpksim
