// The architecture's golden vectors, through a cold walk and again through the warm TLB.

#include "sim/mmu/mmu.h"
#include "tests/golden_file.h"

namespace kpksim::mmu {
namespace {

poe::Access access_of(const nlohmann::json& a) {
  const std::string kind = a["kind"];
  const poe::AccessKind k = kind == "R"    ? poe::AccessKind::kRead
                            : kind == "W"  ? poe::AccessKind::kWrite
                            : kind == "RW" ? poe::AccessKind::kReadWrite
                                           : poe::AccessKind::kExecute;
  return {k, a["el"].get<std::uint8_t>(), a["unpriv"].get<bool>()};
}

Registers registers_of(const nlohmann::json& r) {
  Registers regs;
  regs.tcr = hex(r["tcr"]);
  regs.tcr2 = hex(r["tcr2"]);
  regs.sctlr = hex(r["sctlr"]);
  regs.ttbr0 = hex(r["ttbr0"]);
  regs.ttbr1 = hex(r["ttbr1"]);
  regs.pir = hex(r["pir"]);
  regs.pire0 = hex(r["pire0"]);
  regs.por_el1 = hex(r["por_el1"]);
  regs.por_el0 = hex(r["por_el0"]);
  return regs;
}

TEST(GoldenPermissions, AgreeThroughColdWalkAndWarmTlb) {
  unsigned records = 0;
  unsigned wrong = 0;
  for_each_record("permissions.jsonl.gz", [&](const nlohmann::json& record) {
    ++records;
    PhysicalMemory memory;
    for (const auto& [pa, descriptor] : record["mem"].items()) {
      memory.write64(PhysAddr(std::stoull(pa, nullptr, 16)), hex(descriptor));
    }
    Mmu mmu({{1, 8}, {1, 8}, {4, 4}, 8}, memory);
    mmu.set_registers(registers_of(record["regs"]));
    const poe::Access access = access_of(record["access"]);
    const nlohmann::json& expect = record["expect"];
    for (int pass = 0; pass < 2; ++pass) {
      const Translation t =
          mmu.translate(VirtAddr(hex(record["access"]["va"])), access, record["access"]["pan"]);
      bool agrees;
      if (expect.contains("fault")) {
        agrees = kFaultNames[static_cast<unsigned>(t.fault.kind)] == expect["fault"] &&
                 t.fault.level == expect["level"] && t.fault.overlay == expect["overlay"] &&
                 t.fault.dirty == expect["dirty"] && esr_of(t.fault, access) == hex(expect["esr"]);
      } else {
        agrees = !t.fault && t.pa.value == hex(expect["pa"]);
      }
      if (!agrees && ++wrong <= 3) {
        ADD_FAILURE() << "pass " << pass << ": " << record.dump() << "\n got fault "
                      << kFaultNames[static_cast<unsigned>(t.fault.kind)] << " overlay "
                      << t.fault.overlay << " dirty " << t.fault.dirty << std::hex << " esr "
                      << esr_of(t.fault, access) << " pa " << t.pa.value;
      }
    }
  });
  EXPECT_GT(records, 10000u);
  EXPECT_EQ(wrong, 0u);
}

TEST(GoldenTlbiRanges, DecodeAsTheArchitectureSays) {
  unsigned records = 0;
  for_each_record("tlbi_ranges.jsonl.gz", [&](const nlohmann::json& record) {
    ++records;
    const auto range = decode_range(hex(record["xt"]));
    ASSERT_EQ(range.has_value(), record["valid"].get<bool>()) << record.dump();
    if (!range) return;
    EXPECT_EQ(1u << (range->granule_shift - 10), record["granule"].get<unsigned>());
    EXPECT_EQ(range->start, hex(record["start"])) << record.dump();
    EXPECT_EQ(range->end, hex(record["end"])) << record.dump();
  });
  EXPECT_GT(records, 1000u);
}

}  // namespace
}  // namespace kpksim::mmu
