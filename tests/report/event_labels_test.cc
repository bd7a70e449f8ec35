// Tables call what happened by the names of the architecture that it happened on; the document has
// one name for both.

#include "sim/report/event_labels.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/report/result.h"
#include "sim/report/table.h"
#include "tests/kernel/fixture.h"

namespace kpksim::report {
namespace {

// Of a run in which each event has happened once.
nlohmann::ordered_json document(const cpu::CoreProfile& core) {
  kernel::Config config;
  config.memory_bytes = 256ull << 20;
  const kernel::Kernel k(core, kernel::kernel_profile(), config);
  workload::PhaseResult phase;
  phase.name = "all";
  phase.cores.emplace_back();
  for (auto& by_cause : phase.cores[0].count) by_cause[0] = 1;
  return run_document({}, k, {phase}, 0);
}

bool has(const std::string& text, const char* name) { return text.find(name) != std::string::npos; }

constexpr const char* kOfArm[] = {"TLBI", "POR_EL1", "ISB", "DSB", "EL0", "EL1", "overlay"};
constexpr const char* kOfX86[] = {
    "INVLPG",        "INVPCID",   "INVLPGB",   "TLBSYNC", "CR3", "IA32_PKRS", "interrupts to other",
    "further cores", "user mode", "page fault"};

TEST(EventLabels, AnX86TableHasX86sNamesAlone) {
  nlohmann::ordered_json run = document(kernel::x86_core_profile());
  // Operations that an x86-64 core never counts have no name there.
  for (auto& part : {&run["phases"][0], &run["total"]}) {
    for (const char* never : {"tlbi_vale1", "tlbi_vaale1", "tlbi_rvale1", "tlbi_rvaale1",
                              "tlbi_vmalls12e1", "tlbi_ipas2e1"}) {
      part->at("events").erase(never);
    }
  }
  for (const std::string& table : {run_table(run, {}), compare_table({{"runs", {run}}}, {})}) {
    for (const char* name : kOfX86) EXPECT_TRUE(has(table, name)) << name << "\n" << table;
    for (const char* name : kOfArm) EXPECT_FALSE(has(table, name)) << name << "\n" << table;
  }
}

TEST(EventLabels, AnAArch64TableHasAArch64sNamesAlone) {
  const std::string table = run_table(document(kernel::core_profile()), {});
  for (const char* name : kOfArm) EXPECT_TRUE(has(table, name)) << name << "\n" << table;
  for (const char* name : kOfX86) EXPECT_FALSE(has(table, name)) << name << "\n" << table;
}

TEST(EventLabels, TheDocumentSaysWhichArchitectureIfItIsNotAArch64) {
  EXPECT_EQ(document(kernel::x86_core_profile())["configuration"]["architecture"], "x86-64");
  EXPECT_FALSE(document(kernel::core_profile())["configuration"].contains("architecture"));
}

}  // namespace
}  // namespace kpksim::report
