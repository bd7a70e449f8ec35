// What one core has begun while another one returns to EL0, or changes over to another address
// space, is no finding until it is over; and it is one then if it was done wrongly.

#include "sim/kernel/pgtable.h"
#include "tests/check/watched.h"

namespace kpksim::check {
namespace {

using kernel::kWrite;

// Task 1 is on core 0, a thread of it, 2, on core 1. Core 0 hooks the last table of a mapping out,
// and in again, so that it is one to look at when the core returns.
class AtOnce : public Watched {
 public:
  explicit AtOnce(const char* fault, const char* policy,
                  const cpu::CoreProfile& core = kernel::core_profile())
      : Watched(fault, policy, core) {
    k.clone_thread(1, 2);
    k.migrate(1, 0);
    k.migrate(2, 1);
    k.null_syscall(2);
    at = kernel::map_and_write(k, 1, kPageSize);
  }

  cpu::Core& core(unsigned c) { return k.system().machine.core(c); }
  PhysAddr entry(unsigned level) {
    return k.system().find_entry(core(0), k.root_of(1), VirtAddr(at), level, false);
  }
  Pfn hook_in_again() {
    kernel::System& system = k.system();
    const mmu::Descriptor d{system.tables.read(core(0), entry(2))};
    const PhysAddr pmd = entry(2);
    system.tables.set_table(core(0), pmd, mmu::Descriptor{0}, 2);
    system.tables.set_table(core(0), pmd, d, 2);
    return d.pfn();
  }

  std::uint64_t at = 0;
};

TEST(SanitizerAtOnce, ATableIsNotAtRestWhileAnotherCoreHasAWindowOpenOnIt) {
  AtOnce w("", "hypervisor-window,per-page,pte");
  const Pfn table = w.hook_in_again();
  {
    const kernel::Window outer(w.k.system().tables, w.core(1), table);
    {
      const kernel::Window inner(w.k.system().tables, w.core(0), table);
      EXPECT_TRUE(w.k.system().exposure.writable_at_rest(w.core(0), table));
    }
    EXPECT_TRUE(w.k.system().exposure.writable_at_rest(w.core(0), table)) << "stage 2 is one";
    w.k.null_syscall(1);
    EXPECT_EQ(w.find(Rule::kWritableTable), nullptr);
  }
  EXPECT_EQ(w.find(Rule::kWritableTable), nullptr);
}

TEST(SanitizerAtOnce, ATableThatItsLastWindowLeavesWritableIsFoundAtItsEnd) {
  for (const char* fault : {"skip:close.page", "delay:close.page"}) {
    AtOnce w(fault, "hypervisor-window,per-page,pte");
    const Pfn table = w.hook_in_again();
    {
      const kernel::Window window(w.k.system().tables, w.core(1), table);
      w.k.null_syscall(1);
      EXPECT_EQ(w.find(Rule::kWritableTable), nullptr);
    }
    EXPECT_TRUE(w.tells(Rule::kWritableTable, {"becomes a page table"})) << fault;
  }
}

// Another core's window is no excuse where it is that core's register that lets tables be written.
TEST(SanitizerAtOnce, AWindowOfAnotherCoresRegisterIsNone) {
  AtOnce w("skip:mark.user-leaf", "kpkeys-poe,per-page,pte");
  const Pfn table = w.hook_in_again();
  const kernel::Window window(w.k.system().tables, w.core(1), table);
  w.k.null_syscall(1);
  EXPECT_NE(w.find(Rule::kWritableTable), nullptr);
}

// Core 0 has cleared an entry and not flushed yet; core 1 comes back to the address space, whose
// PCID still has it.
void change_over_during_an_unmapping(AtOnce& w) {
  w.k.spawn(3);
  w.k.migrate(3, 1);
  EXPECT_TRUE(w.k.touch(2, w.at, kWrite));
  w.k.null_syscall(3);
  w.k.system().tables.get_and_clear(w.core(0), w.entry(3));
  w.k.null_syscall(2);
}

TEST(SanitizerAtOnce, WhatAnotherCoreIsAboutToFlushMayBeCachedUnderAPcid) {
  AtOnce w("", "none,buddy,pte", kernel::x86_core_profile());
  change_over_during_an_unmapping(w);
  EXPECT_EQ(w.find(Rule::kStaleEntry), nullptr);
}

TEST(SanitizerAtOnce, WhatItHasNotFlushedWhenItReturnsIsFound) {
  AtOnce w("", "none,buddy,pte", kernel::x86_core_profile());
  change_over_during_an_unmapping(w);
  w.k.null_syscall(1);
  EXPECT_TRUE(w.tells(Rule::kStaleEntry, {"cached for", "-> 0x0"}));
}

}  // namespace
}  // namespace kpksim::check
