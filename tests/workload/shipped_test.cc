// What the comparison must show on every shipped workload and trace, without any special case in
// the code.

#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "sim/workload/driver.h"
#include "sim/workload/json.h"
#include "sim/workload/strace.h"
#include "tests/kernel/fixture.h"
#include "tests/paths.h"

namespace kpksim::workload {
namespace {

namespace fs = std::filesystem;
using cpu::Event;
using kernel::Granularity;

struct Outcome {
  cpu::Counters counters;
  kernel::AllocatorStatistics allocator;
  kernel::LinearMapStatistics linear_map;
  std::uint64_t pt_writes = 0, stale = 0;

  std::uint64_t of(Event event) const { return counters.total(event); }
  std::uint64_t keying_tlbis() const {
    std::uint64_t n = 0;
    for (auto e = static_cast<std::size_t>(Event::kTlbiFirst);
         e <= static_cast<std::size_t>(Event::kTlbiLast); ++e) {
      n += counters.count[e][static_cast<std::size_t>(kernel::Cause::kKeying)];
    }
    return n;
  }
};

std::vector<fs::path> shipped() {
  std::vector<fs::path> files;
  for (const char* folder : {"workloads", "traces"}) {
    const fs::path path = fs::path(kpksim::test::source_path("")) / folder;
    if (!fs::is_directory(path)) continue;
    for (const auto& entry : fs::directory_iterator(path)) {
      const std::string name = entry.path().filename().string();
      if ((name.ends_with(".json") && name != "schema.json") || name.ends_with(".strace.zst")) {
        files.push_back(entry.path());
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

class Shipped : public testing::TestWithParam<fs::path> {
 protected:
  Shipped()
      : workload_(GetParam().extension() == ".json" ? read_json_workload(GetParam().string())
                                                    : read_strace(GetParam().string())) {}

  Outcome run(kernel::Config config) const {
    config.memory_bytes = 8ull << 30;
    kernel::Kernel kernel(kernel::core_profile(), kernel::kernel_profile(), config);
    Outcome out;
    for (const PhaseResult& phase : Driver(kernel).run(workload_)) {
      for (const cpu::Counters& core : phase.cores) out.counters += core;
      kernel::append_allocator(out.allocator, phase.allocator);
      append(out.linear_map, phase.linear_map, kernel::kLinearMapStatistics);
      out.pt_writes += phase.pt_writes;
      out.stale += phase.audit.stale_leaves + phase.audit.stale_tables + phase.audit.bbm_violations;
    }
    return out;
  }

  Workload workload_;
};

TEST_P(Shipped, ShowsWhatEachPolicyCosts) {
  const Outcome none = run(kernel::config("none", false, "buddy", Granularity::kPte));
  EXPECT_EQ(none.of(Event::kMsrPor), 0u);
  EXPECT_EQ(none.of(Event::kFaultOverlay), 0u);
  EXPECT_EQ(none.linear_map.set_memory_pkey, 0u);
  EXPECT_EQ(none.stale, 0u);

  // Two MSR and two ISB for each guarded helper; one keyed page and one TLBI for each page-table
  // page allocated and freed.
  const Outcome keyed = run(kernel::config("kpkeys-poe", false, "per-page", Granularity::kPte));
  EXPECT_EQ(keyed.of(Event::kMsrPor), 2 * keyed.pt_writes);
  const std::uint64_t keyings = keyed.linear_map.set_memory_pkey;
  EXPECT_EQ(keyings, keyed.allocator.allocated + keyed.allocator.freed);
  EXPECT_EQ(keyed.linear_map.pages, keyings);
  EXPECT_EQ(keyed.keying_tlbis(), keyings);
  EXPECT_EQ(keyed.of(Event::kIsb), none.of(Event::kIsb) + 2 * keyed.pt_writes + 2 * keyings);
  EXPECT_EQ(keyed.allocator.allocated, none.allocator.allocated);
  EXPECT_EQ(keyed.stale, 0u);

  // With batching far fewer, for the same page-table writes.
  const Outcome batched = run(kernel::config("kpkeys-poe", true, "per-page", Granularity::kPte));
  EXPECT_EQ(batched.pt_writes, keyed.pt_writes);
  EXPECT_LT(batched.of(Event::kMsrPor), keyed.of(Event::kMsrPor));
  EXPECT_EQ(batched.keying_tlbis(), keyings);
  EXPECT_EQ(batched.stale, 0u);

  // pba: one call for each refill and each release, nothing for each page.
  const Outcome pba = run(kernel::config("kpkeys-poe", true, "pba", Granularity::kBlock));
  const auto own = [&](const char* name) { return pba.allocator.own_value(name); };
  const std::uint64_t large = own("refills_order_9"), middle = own("refills_order_4"),
                      small = own("refills_order_2"), shrunk = own("shrunk_pages");
  EXPECT_EQ(pba.linear_map.set_memory_pkey, large + middle + small + own("shrunk_blocks") + shrunk);
  EXPECT_EQ(pba.keying_tlbis(), 512 * large + 16 * middle + 4 * small);
  EXPECT_LE(pba.linear_map.set_memory_pkey, keyings + shrunk);
  if (shrunk == 0) {
    EXPECT_EQ(pba.linear_map.split_pmd, middle + small);
  }
  EXPECT_EQ(pba.stale, 0u);
}

INSTANTIATE_TEST_SUITE_P(Workloads, Shipped, testing::ValuesIn(shipped()), [](const auto& file) {
  std::string name = file.param.filename().string();
  name = name.substr(0, name.find('.'));
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace kpksim::workload
