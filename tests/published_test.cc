// The published overheads: how well the model agrees, that the profile's prices are those of the
// fit, and what is refused.

#include "sim/validate/published.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "sim/base/error.h"
#include "tests/paths.h"
#include "tests/place.h"
#include "tests/scratch.h"

namespace kpksim::validate {
namespace {

const std::string kFile = kpksim::test::source_path("tests/published/published_results.json");

std::string output_of(const std::string& arguments) {
  const std::string path = kpksim::test::scratch_file("published.out");
  const std::string command = kpksim::test::kpksim_binary() + " " + arguments + " >" + path;
  EXPECT_NE(std::system(command.c_str()), -1);
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(Published, HasAllCells) {
  const Published published = read_published(kFile);
  ASSERT_EQ(published.tables.size(), 3u);
  for (const PublishedTable& table : published.tables) EXPECT_EQ(table.cells.size(), 34u);
  EXPECT_EQ(published.absolute.size(), 4u);
  EXPECT_TRUE(published.tables[1].keyed);
  EXPECT_FALSE(published.tables[2].keyed);
}

TEST(Published, AgreesWithTheModel) {
  const std::string text = output_of("validate published --refit");
  std::smatch found;
  ASSERT_TRUE(std::regex_search(
      text, found,
      std::regex(
          "not fitted: (\\d+) of (\\d+) significant cells near, (\\d+) far; (\\d+) of (\\d+)")))
      << text;
  EXPECT_GE(std::stoi(found[1]) * 10, std::stoi(found[2]) * 9) << text;
  EXPECT_EQ(found[3], "0") << text;
  EXPECT_EQ(found[4], found[5]) << text;
  // munmap h:1 with batching is too cheap against the others (docs/validation.md).
  std::smatch order;
  ASSERT_TRUE(std::regex_search(text, order, std::regex("columns: (\\d+) of (\\d+) pairs")));
  EXPECT_LE(std::stoi(order[1]) * 100, std::stoi(order[2]) * 4) << text;
  // Two are off by the noise between the columns and a little more.
  std::smatch keying;
  ASSERT_TRUE(std::regex_search(text, keying, std::regex("munmap: (\\d+) of 8 within 2 points")));
  EXPECT_GE(std::stoi(keying[1]), 6) << text;
  // The profile holds what the fit finds.
  std::smatch before, after;
  ASSERT_TRUE(std::regex_search(text, before, std::regex("in the profile +([0-9. ]+)\n")));
  ASSERT_TRUE(std::regex_search(text, after, std::regex("\nall +([0-9. ]+)\n")));
  std::istringstream profile(before[1].str()), fit(after[1].str());
  for (double a = 0, b = 0; profile >> a && fit >> b;) EXPECT_NEAR(a, b, 0.05 * b) << text;
}

TEST(Published, UnknownRowsAreRefused) {
  const auto refusal = [](const char* pointer, const nlohmann::json& value) -> std::string {
    auto results = nlohmann::json::parse(std::ifstream(kFile));
    results[nlohmann::json::json_pointer(pointer)] = value;
    const std::string path = kpksim::test::scratch_file("bad-results.json");
    std::ofstream(path) << results;
    try {
      read_published(path);
    } catch (const InputError& e) {
      return kpksim::test::without_place(e.what(), path);
    }
    return "accepted";
  };
  EXPECT_EQ(refusal("/tables/0/rows/3/benchmark", "micromm/frok"),
            "/tables/0/rows/3/benchmark: 'micromm/frok' is not a benchmark; did you mean "
            "'micromm/fork'?");
  EXPECT_TRUE(
      refusal("/tables/2/rows/4/class", "fork: h:2")
          .starts_with("/tables/2/rows/4/class: 'fork: h:2' is not a class of micromm/fork"));
  EXPECT_EQ(refusal("/tables/0/rows/0/with_batching/overhead_percent", "much"),
            "/tables/0/rows/0/with_batching/overhead_percent: expected a number, found \"much\"");
}

}  // namespace
}  // namespace kpksim::validate
