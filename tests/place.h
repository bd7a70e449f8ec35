#pragma once
// Messages about places in JSON files.

#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace kpksim::test {

// A message "path:line:column: what" without that place, which it must have.
inline std::string without_place(const std::string& message, const std::string& path) {
  EXPECT_EQ(message.find(path), 0u) << message;
  std::smatch place;
  const std::string rest = message.substr(std::min(message.size(), path.size()));
  EXPECT_TRUE(std::regex_search(rest, place, std::regex("^:[1-9][0-9]*:[1-9][0-9]*: "))) << message;
  return place.empty() ? rest : place.suffix().str();
}

}  // namespace kpksim::test
