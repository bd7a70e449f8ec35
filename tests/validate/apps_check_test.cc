// Claims on how replayed programs are held to a real kernel's counts.

#include "sim/validate/apps_check.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace kpksim::validate {
namespace {

Measurement measured(const std::string& program, Counts counts) {
  Measurement m;
  m.phase = program;
  m.cpu = "max";
  m.variant = "off";
  m.counts = std::move(counts);
  return m;
}

AppMeasurement app(const std::string& variant, AppCounts real, AppCounts model) {
  return {"p", "max", variant, std::move(real), std::move(model)};
}

const AppRow& row(const std::vector<AppRow>& rows, const std::string& counter,
                  const std::string& base = "") {
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const AppRow& r) {
    return r.counter == counter && r.base == base;
  });
  if (it == rows.end()) throw std::out_of_range(counter);
  return *it;
}

TEST(AppCounts, InterruptsAreTakenOutOfFaultsAndInstructions) {
  const Counts nothing = {{"eret", {10}}, {"svc", {4}}, {"isb", {20}}, {"dsb_ish", {5}}};
  Counts counts = {{"eret", {1110}},
                   {"svc", {504}},
                   {"isb", {2620}},
                   {"dsb_ish", {55}},
                   {"kernel_instructions", {1000000}},
                   {"irqs", {100}}};
  const AppCounts counted =
      real_app_counts(measured("p", counts), measured("nothing", nothing), {});
  EXPECT_EQ(counted.at("page_faults"), 500);  // 1100 returns, 500 calls, 100 interrupts
  EXPECT_EQ(counted.at("kernel_instructions"), 1000000 - 100 * 3774);
  // Not counted: 2600 ISB less one for each of 1100 returns, 300 that the model has too, and five
  // for each of 50 switches that it lacks, over ten more than the return's own.
  counts.erase("irqs");
  const AppCounts model = {{"eret", 1000}, {"isb", 1300}, {"dsb_ish", 0}};
  const AppCounts told =
      real_app_counts(measured("p", counts), measured("nothing", nothing), model);
  EXPECT_EQ(told.at("interrupts"), (2600 - 1100 - 300 - 5 * 50) / 10.0);
}

TEST(AppCounts, EachKindHasItsLimit) {
  const auto verdict = [](const char* counter, double model) {
    const AppMeasurement m = app("keyed", {{counter, 1000}}, {{counter, model}});
    return row(compare_app(m, {m}), counter).verdict;
  };
  EXPECT_EQ(verdict("page_faults", 1000), Verdict::kExact);
  EXPECT_EQ(verdict("page_faults", 1050), Verdict::kWithin);
  EXPECT_EQ(verdict("page_faults", 1051), Verdict::kOff);
  EXPECT_EQ(verdict("msr_por", 900), Verdict::kWithin);
  EXPECT_EQ(verdict("msr_por", 899), Verdict::kOff);
  EXPECT_EQ(verdict("tlbi.VALE1IS", 1101), Verdict::kOff);
  EXPECT_EQ(verdict("kernel_instructions", 1151), Verdict::kOff);
}

TEST(AppCounts, AnOperationThatOnlyOneSideHasIsOff) {
  const AppMeasurement m = app("off", {}, {{"tlbi.VAAE1IS", 40}});
  EXPECT_EQ(row(compare_app(m, {m}), "tlbi.VAAE1IS").verdict, Verdict::kOff);
}

TEST(AppCounts, WhatNoVariantChangesHasTheSpreadOfTheVariants) {
  const AppMeasurement a = app("off", {{"tlbi.VAE1IS", 60}, {"tlbi.VAALE1IS", 60}},
                               {{"tlbi.VAE1IS", 100}, {"tlbi.VAALE1IS", 100}});
  const AppMeasurement b = app("pba", {{"tlbi.VAE1IS", 100}, {"tlbi.VAALE1IS", 100}}, {});
  EXPECT_EQ(row(compare_app(a, {a, b}), "tlbi.VAE1IS").verdict, Verdict::kWithin);
  EXPECT_EQ(row(compare_app(a, {a, b}), "tlbi.VAALE1IS").verdict, Verdict::kOff);  // keying
}

TEST(AppCounts, RatiosAreHeldMoreCloselyThanCounts) {
  const AppMeasurement keyed = app("keyed", {{"msr_por", 1000}}, {{"msr_por", 1050}});
  const AppMeasurement batched = app("keyed-batched", {{"msr_por", 500}}, {{"msr_por", 500}});
  const auto rows = compare_app(batched, {keyed, batched});
  EXPECT_EQ(row(rows, "msr_por").verdict, Verdict::kExact);
  EXPECT_EQ(row(rows, "msr_por", "keyed").verdict, Verdict::kOff);  // 0.476 instead of 0.5
  EXPECT_EQ(compare_app(keyed, {keyed, batched}).size(), 3u);       // no ratio to itself
}

// Whatever was counted: a model that gives the same numbers is never off.
RC_GTEST_PROP(AppCounts, EqualCountsAgree, ()) {
  AppCounts counts;
  for (const char* name : {"page_faults", "msr_por", "kernel_instructions", "tlbi.VALE1IS"}) {
    counts[name] = *rc::gen::inRange(0, 1000000);
  }
  const AppMeasurement off = app("off", counts, counts), keyed = app("keyed", counts, counts);
  for (const AppRow& r : compare_app(keyed, {off, keyed})) RC_ASSERT(r.verdict != Verdict::kOff);
}

}  // namespace
}  // namespace kpksim::validate
