// Files of a real kernel's counts: both forms of repetitions, and what is refused.

#include "sim/validate/counts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "sim/base/error.h"
#include "tests/place.h"
#include "tests/scratch.h"

namespace kpksim::validate {
namespace {

class Counts : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  CountsFile read(const std::string& phases, bool variants = true) {
    std::ofstream(path_) << (variants ? R"({"variants": {}, "phases": [)" : R"({"phases": [)")
                         << phases << "]}";
    return read_counts(path_);
  }

  std::string message(const std::string& phases, bool variants = true) {
    try {
      read(phases, variants);
    } catch (const InputError& e) {
      return e.what();
    }
    return "accepted";
  }

  const std::string path_ = kpksim::test::scratch_file("counts.json");
};

std::string later(const std::string& readings, const std::string& cpu = "max") {
  return R"({"name": "p", "cpu": {")" + cpu + R"(": {"keyed-617": [)" + readings + "]}}}";
}

using Values = std::vector<std::uint64_t>;

TEST_F(Counts, ListsInEachCounter) {
  const CountsFile file =
      read(R"({"name": "p", "cpu": {"a76": {"tlbi": {"VALE1IS": [4, 5]}, "isb": [7, 7]}}})", false);
  ASSERT_EQ(file.measurements.size(), 1u);
  const Measurement& m = file.measurements[0];
  EXPECT_EQ(m.variant, "off");
  EXPECT_EQ(m.kernel, "linux-6.12");
  EXPECT_EQ(m.counts.at("tlbi.VALE1IS"), (Values{4, 5}));
}

TEST_F(Counts, AListOfReadingsHasZeroWhereOneDoesNotNameACounter) {
  const CountsFile file = read(later(R"({"tlbi": {"VALE1IS": 4}, "isb": 7}, )"
                                     R"({"tlbi": {"VMALLE1IS": 2}, "isb": 8})"));
  const Measurement& m = file.measurements.at(0);
  EXPECT_EQ(m.variant, "keyed");
  EXPECT_EQ(m.kernel, "linux-6.12-port-6.16");
  EXPECT_EQ(m.counts.at("tlbi.VALE1IS"), (Values{4, 0}));
  EXPECT_EQ(m.counts.at("tlbi.VMALLE1IS"), (Values{0, 2}));
  EXPECT_EQ(m.counts.at("isb"), (Values{7, 8}));
}

// Each page that loses its key after the phase has a flush; with repeats it has two.
TEST_F(Counts, WhatWasDeferredBelongsToThePhase) {
  const std::string reading =
      R"({"tlbi": {"VAALE1IS": 1}, "msr_por": 10, "isb": 5, "dsb_ishst": 2,
          "deferred": {"msr_por": 8, "isb": 40, "dsb_ish": 9, "dsb_ishst": 4, "tlbi_total": 6}})";
  const Measurement max = read(later(reading)).measurements.at(0);
  EXPECT_EQ(max.counts.at("tlbi.VAALE1IS"), (Values{7}));
  EXPECT_EQ(max.counts.at("msr_por"), (Values{22}));
  EXPECT_EQ(max.counts.at("dsb_ishst"), (Values{6}));
  EXPECT_EQ(max.counts.at("isb"), (Values{29}));
  EXPECT_EQ(max.counts.at("dsb_ish"), (Values{6}));
  EXPECT_TRUE(max.drained);
  const Measurement a76 = read(later(reading, "a76")).measurements.at(0);
  EXPECT_EQ(a76.counts.at("tlbi.VAALE1IS"), (Values{4}));
  EXPECT_EQ(a76.counts.at("tlbi.VALE1IS"), (Values{3}));
  EXPECT_EQ(a76.counts.at("isb"), (Values{17}));
  EXPECT_EQ(a76.counts.at("dsb_ish"), (Values{6}));
  EXPECT_FALSE(read(later(R"({"isb": 1})")).measurements.at(0).drained);
}

TEST_F(Counts, WhatIsNotKnownIsRefusedByName) {
  const auto expect = [&](const std::string& phases, const std::string& pointer,
                          const std::string& what) {
    const std::string said = kpksim::test::without_place(message(phases), path_);
    EXPECT_TRUE(said.starts_with(pointer + ": ")) << said;
    EXPECT_NE(said.find(what), std::string::npos) << said;
  };
  expect(R"({"name": "p", "cpu": {"a75": {}}})", "/phases/0/cpu", "'a75' is not a CPU model");
  expect(R"({"name": "p", "cpu": {"max": {"keyd-617": []}}})", "/phases/0/cpu/max",
         "did you mean 'keyed'");
  expect(later(R"({"isb": 1}, {"isbs": 2})"), "/phases/0/cpu/max/keyed-617/1",
         "did you mean 'isb'");
  expect(later(R"({"deferred": {"tlbi": 2}})"), "/phases/0/cpu/max/keyed-617/0/deferred",
         "'tlbi' is not a deferred counter");
  expect(later(R"({"isb": -1})"), "/phases/0/cpu/max/keyed-617/0/isb", "expected whole numbers");
  expect(later("3"), "/phases/0/cpu/max/keyed-617/0", "expected counters by name");
  expect(R"({"name": "p", "cpu": {"max": {"keyed-617": []}}})", "/phases/0/cpu/max/keyed-617",
         "expected counters by name");
}

}  // namespace
}  // namespace kpksim::validate
