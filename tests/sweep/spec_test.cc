// What a sweep's file says: which points there are, and what is wrong with it.

#include "sim/sweep/spec.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "sim/base/error.h"
#include "sim/sweep/sampling.h"
#include "tests/scratch.h"

namespace kpksim::sweep {
namespace {

class SweepSpec : public testing::Test {
 protected:
  ~SweepSpec() override { std::filesystem::remove(path_); }

  Spec spec(const std::string& space, const std::string& base = R"("workload":"w")") {
    std::ofstream(path_) << R"({"name":"s","base":{)" << base << R"(},"space":[)" << space << "]}";
    return Spec(path_);
  }
  std::string refusal(const std::string& space, const std::string& base = R"("workload":"w")") {
    try {
      spec(space, base);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  // The values of the varied settings.
  static std::vector<std::string> values(const Spec& s, Point p) {
    std::vector<std::string> out;
    for (const Assignment& a : s.settings(p)) {
      if (a.key != "workload") out.push_back(a.value);
    }
    return out;
  }
  static bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  const std::string path_ = kpksim::test::scratch_file("spec.json");
};

TEST_F(SweepSpec, PartsMultiplyAndTheLastVariesFastest) {
  const Spec s = spec(R"({"grid":{"machine:/cores":[1,2],"machine:/hz":[0,100]}},
                         {"zip":{"core:/tlb/l2_sets":[256,512,1024],"core:/tlb/l2_ways":[8,4,2]}})");
  ASSERT_EQ(s.points(), 12u);
  using Values = std::vector<std::string>;
  EXPECT_EQ(values(s, 0), (Values{"1", "0", "256", "8"}));
  EXPECT_EQ(values(s, 1), (Values{"1", "0", "512", "4"}));
  EXPECT_EQ(values(s, 3), (Values{"1", "100", "256", "8"}));
  EXPECT_EQ(values(s, 11), (Values{"2", "100", "1024", "2"}));
}

TEST_F(SweepSpec, APointsOwnValueStandsForTheBases) {
  const Spec s = spec(R"({"grid":{"machine:/cores":[3],"workload":["v"]}})",
                      R"("workload":"w","set":{"machine:/cores":1,"machine:/hz":100})");
  const std::vector<Assignment> expected = {
      {"machine:/hz", "100"}, {"machine:/cores", "3"}, {"workload", "\"v\""}};
  EXPECT_EQ(s.settings(0), expected);
}

TEST_F(SweepSpec, ALatinHypercubeMeetsEachPartOfEachRangeOnce) {
  constexpr Point kPoints = 500;
  const Spec s = spec(R"({"latin_hypercube":{"machine:/hz":{"from":0,"to":499,"whole":true},
      "core:/cycles/isb":{"from":1,"to":1000,"scale":"log"}},"points":500,"seed":7})");
  std::set<std::string> hz;
  std::set<int> isb;
  int together = 0;
  for (Point p = 0; p < kPoints; ++p) {
    const auto v = values(s, p);
    hz.insert(v[1]);
    const int part = static_cast<int>(std::log10(std::stod(v[0])) / 3 * kPoints);
    isb.insert(part);
    together += std::abs(part - std::stoi(v[1])) < 25 ? 1 : 0;
  }
  EXPECT_EQ(hz.size(), kPoints);
  EXPECT_GE(isb.size(), kPoints - 5);  // six digits may fall on a part's other side
  EXPECT_LT(together, 100);            // a tenth, if the two have nothing to do with each other
}

TEST_F(SweepSpec, PermutationsAreSuch) {
  for (Point n = 1; n < 200; ++n) {
    std::set<Point> met;
    for (Point i = 0; i < n; ++i) met.insert(permuted(i, n, 5, 2));
    ASSERT_EQ(met.size(), n);
    ASSERT_LT(*met.rbegin(), n);
  }
}

TEST_F(SweepSpec, RandomValuesAreOfTheirRangeAndTheSameAgain) {
  const std::string space = R"({"random":{"machine:/cores":{"from":2,"to":4,"whole":true},
      "core:/cycles/isb":{"from":1,"to":2},"policy":["a","b"]},"points":300})";
  const Spec a = spec(space), b = spec(space);
  std::set<std::string> cores, policies;
  for (Point p = 0; p < 300; ++p) {
    const auto v = values(a, p);
    EXPECT_EQ(v, values(b, p));
    EXPECT_GE(std::stod(v[0]), 1);
    EXPECT_LT(std::stod(v[0]), 2.001);
    cores.insert(v[1]);
    policies.insert(v[2]);
  }
  EXPECT_EQ(cores, (std::set<std::string>{"2", "3", "4"}));
  EXPECT_EQ(policies.size(), 2u);
  EXPECT_NE(values(a, 0), values(a, 1));
}

TEST_F(SweepSpec, WhatIsWrongIsToldWithItsPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"zip":{"machine:/cores":[1,2],"machine:/hz":[1]}})",
       "/space/0/zip/machine:~1hz: 1 values"},
      {R"({"grid":{"machin:/cores":[1]}})", "did you mean 'machine'?"},
      {R"({"grid":{"polcy":["x"]}})", "did you mean 'policy'?"},
      {R"({"grid":{"policy":[1]}})", "/space/0/grid/policy/0: expected a name"},
      {R"({"grid":{"machine:/hz":7}})", "expected a list of values"},
      {R"({"grid":{"machine:/hz":[]}})", "expected a list of values"},
      {R"({"grid":{"machine:/hz":[1]}},{"grid":{"machine:/hz":[2]}})", "varies already"},
      {R"({"gird":{"machine:/hz":[1]}})", "did you mean 'grid'?"},
      {R"({"grid":{"machine:/hz":[1]},"points":3})", "a grid has none"},
      {R"({"random":{"machine:/hz":[1]}})", "missing key 'points'"},
      {R"({"random":{"machine:/hz":{"from":2,"to":1}},"points":3})", "less than 'from'"},
      {R"({"random":{"machine:/hz":{"from":0,"to":1,"scale":"log"}},"points":3})", "above 0"},
      {R"({"random":{"machine:/hz":{"from":0,"til":1}},"points":3})", "did you mean 'to'?"},
      {R"({"grid":{"machine:/hz":[1]},"zip":{"machine:/cores":[1]}})", "each is a part"},
      {R"({"random":{"a:/b":[1]},"points":1})", "'a' has no settings"},
  };
  for (const auto& [space, what] : cases) {
    const std::string message = refusal(space);
    EXPECT_TRUE(has(message, what)) << space << ": " << message;
    EXPECT_TRUE(has(message, path_ + ":1:")) << message;
  }
  EXPECT_TRUE(has(refusal(R"({"grid":{"machine:/hz":[1]}})", ""), "missing key 'workload'"));
}

}  // namespace
}  // namespace kpksim::sweep
