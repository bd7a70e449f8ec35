// Address-space operations that no measurement's workload shows alone: what must hold for any of
// them.

#include <gtest/gtest.h>

#include "sim/kernel/kernel.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

void expect_no_stale_entries(Kernel& k) {
  const AuditResult audit = k.audit();
  EXPECT_EQ(audit.stale_leaves, 0u);
  EXPECT_EQ(audit.stale_tables, 0u);
  EXPECT_EQ(audit.bbm_violations, 0u);
}

TEST(AddressSpace, ExecMovesTheStackWhenAddressesAreRandomised) {
  Kernel k(core_profile(), kernel_profile(),
           config("kpkeys-poe", false, "per-page", Granularity::kPte));
  ProgramImage program;
  program.heap_bytes = 8 << 10;
  program.randomize = true;
  k.set_program(program);
  k.spawn(1);
  const ProgramPlacement first = k.placement(1);
  for (int i = 0; i < 20; ++i) {
    k.exec(1);
    const ProgramPlacement p = k.placement(1);
    EXPECT_LE(ProgramImage::kStackTop - p.stack_top, kPudSize);
    // What execve() wrote is there without a fault: its table entry went with the stack.
    const std::uint64_t eret = k.system().machine.core(0).counters().total(cpu::Event::kEret);
    EXPECT_TRUE(k.touch(1, p.stack_top - kPageSize, poe::AccessKind::kWrite));
    EXPECT_EQ(k.system().machine.core(0).counters().total(cpu::Event::kEret), eret);
    EXPECT_TRUE(k.touch(1, p.heap, poe::AccessKind::kWrite));
    EXPECT_TRUE(k.touch(1, p.vdso, poe::AccessKind::kRead));
    expect_no_stale_entries(k);
  }
  EXPECT_NE(k.placement(1).stack_top, first.stack_top);
  EXPECT_NE(k.placement(1).vdso, first.vdso);
  EXPECT_NE(k.placement(1).heap, first.heap);
}

}  // namespace
}  // namespace kpksim::kernel
