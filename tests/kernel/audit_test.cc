// What the audit of cached translations takes for stale, and what not.

#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

// Two threads on two cores with a page of shared memory that both have read.
class ReadByTwo {
 public:
  explicit ReadByTwo(const cpu::CoreProfile& core, FlushSite left_out = FlushSite::kNone)
      : k(core, kernel_profile(), with(left_out)) {
    k.spawn(1);
    at = page_read_by_two(k);
  }
  Kernel k;
  std::uint64_t at = 0;

 private:
  static Config with(FlushSite left_out) {
    Config c = config("none", false, "buddy", Granularity::kPte, 2);
    c.injections = without_tlbis(left_out);
    return c;
  }
};

// Hardware marks the page dirty and tells nobody. The other core's entry is clean still, and a
// write through it makes a walk.
TEST(Audit, ACleanEntryOfAPageThatAnotherCoreDirtiedIsNotStale) {
  for (const cpu::CoreProfile* core : {&core_profile(), &x86_core_profile()}) {
    ReadByTwo w(*core);
    EXPECT_TRUE(w.k.touch(2, w.at, poe::AccessKind::kWrite));
    EXPECT_EQ(w.k.audit().stale_leaves, 0u) << core->name;
    const std::uint64_t faults =
        w.k.system().machine.core(0).happened(cpu::Event::kFaultPermission);
    EXPECT_TRUE(w.k.touch(1, w.at, poe::AccessKind::kWrite));
    EXPECT_EQ(w.k.system().machine.core(0).happened(cpu::Event::kFaultPermission), faults);
  }
}

// Where the kernel marks it, the other core's write would fault for ever without the flush.
TEST(Audit, ACleanEntryIsStaleWhereTheKernelMarksPagesDirty) {
  cpu::CoreProfile core = core_profile();
  core.hafdbs = false;
  ReadByTwo with(core);
  EXPECT_TRUE(with.k.touch(2, with.at, poe::AccessKind::kWrite));
  EXPECT_EQ(with.k.audit().stale_leaves, 0u);
  ReadByTwo without(core, FlushSite::kWriteReuse);
  without.k.touch(2, without.at, poe::AccessKind::kWrite);
  EXPECT_GT(without.k.audit().stale_leaves, 0u);
}

}  // namespace
}  // namespace kpksim::kernel
