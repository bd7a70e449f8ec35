// Files that were a finding of a fuzzer once: each is read, or refused with a message.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/fuzz/targets.h"
#include "tests/paths.h"

namespace kpksim::test {
namespace {

TEST(Fuzz, WhatWasAFindingOnceIsReadOrRefused) {
  const std::filesystem::path corpus = source_path("tests/fuzz/corpus");
  std::size_t files = 0;
  for (const auto& folder : std::filesystem::directory_iterator(corpus)) {
    const auto target =
        std::find_if(fuzz_targets().begin(), fuzz_targets().end(),
                     [&](const FuzzTarget& t) { return t.name == folder.path().filename(); });
    ASSERT_NE(target, fuzz_targets().end()) << folder.path();
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      EXPECT_NO_THROW(read_or_refuse(*target, file.path())) << file.path();
      ++files;
    }
  }
  EXPECT_GT(files, 0u);
}

// The seeds of scripts/fuzz: what ships is read.
TEST(Fuzz, EveryTargetReadsAFileOfItsKind) {
  const std::pair<std::string_view, const char*> files[] = {
      {"workload", "workloads/mixed.json"},           {"strace", "traces/compile.strace.zst"},
      {"vectors", "tests/golden/walks.jsonl.gz"},     {"core", "profiles/cores/neoverse-v1.json"},
      {"kernel", "profiles/kernels/linux-6.12.json"}, {"classes", "classes/linux.json"},
      {"attack", "workloads/attacks/bit-flip.json"},  {"sweep", "sweeps/tlb.json"},
  };
  for (const auto& [name, file] : files) {
    const auto target = std::find_if(fuzz_targets().begin(), fuzz_targets().end(),
                                     [n = name](const FuzzTarget& t) { return t.name == n; });
    ASSERT_NE(target, fuzz_targets().end()) << name;
    EXPECT_TRUE(read_or_refuse(*target, source_path(file))) << name;
  }
}

}  // namespace
}  // namespace kpksim::test
