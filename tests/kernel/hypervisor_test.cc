// Protection by a hypervisor: what stage 2 refuses, through whichever alias, and what calls cost.

#include "sim/kernel/prot.h"
#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

Config hypervisor(bool lazy, unsigned cores = 1) {
  return config("hypervisor", lazy, "per-page", Granularity::kPte, cores);
}

std::uint64_t hypervisor_total(Kernel& k, cpu::Event event) {
  std::uint64_t sum = 0;
  for (std::size_t c = 0; c < k.system().machine.core_count(); ++c) {
    sum += k.system().machine.core(c).happened(event);
  }
  return sum;
}

// The entry that maps `va` for a process that has just run on core 0, or for the kernel.
PhysAddr leaf_entry_of(Kernel& k, std::uint64_t va) {
  return mmu::walk(k.system().machine.memory(), k.system().machine.core(0).mmu().registers(),
                   VirtAddr(va))
      .address;
}

// A page of vmalloc's addresses is made to map `frame`, as an attacker would with a table of his
// own.
VirtAddr alias_of(Kernel& k, Pfn frame) {
  const std::uint64_t va = k.memory().vmalloc(1, false);
  k.system().machine.memory().write64(leaf_entry_of(k, va),
                                      kernel_leaf(address_of(frame), 3, false).raw);
  return VirtAddr(va);
}

void expect_stage2(const mmu::Fault& fault, cpu::Core& core, PhysAddr ipa) {
  EXPECT_EQ(fault.kind, mmu::FaultKind::kPermission);
  EXPECT_TRUE(fault.stage2);
  EXPECT_FALSE(fault.overlay);
  EXPECT_EQ(core.mmu().fault_ipa(), ipa);
}

TEST(Hypervisor, AStrayStoreIsRefusedThroughEveryAlias) {
  Kernel k(core_profile(), kernel_profile(), hypervisor(false));
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1);
  cpu::Core& core = k.system().machine.core(0);
  const PhysAddr entry = leaf_entry_of(k, at);
  const std::uint64_t before = k.system().machine.memory().read64(entry);
  const VirtAddr alias = alias_of(k, frame_of(entry));
  core.continue_at(1);
  expect_stage2(core.store64(linear_va(entry), 0), core, entry);
  const VirtAddr word(alias.value + entry.value % kPageSize);
  EXPECT_EQ(core.load64(word).value, before);  // which is no wrong
  expect_stage2(core.store64(word, 0), core, entry);
  EXPECT_EQ(k.system().machine.memory().read64(entry), before);
}

// What a key does not cover: the same two stores under kpkeys-poe.
TEST(Hypervisor, AKeyRefusesTheLinearMapAlone) {
  Kernel k(core_profile(), kernel_profile(),
           config("kpkeys-poe", false, "per-page", Granularity::kPte));
  k.spawn(1);
  const PhysAddr entry = leaf_entry_of(k, map_and_write(k, 1));
  const VirtAddr alias = alias_of(k, frame_of(entry));
  cpu::Core& core = k.system().machine.core(0);
  core.continue_at(1);
  EXPECT_TRUE(core.store64(linear_va(entry), 0));
  EXPECT_FALSE(core.store64(VirtAddr(alias.value + entry.value % kPageSize), 0));
}

TEST(Hypervisor, AHelperSucceeds_OnEveryCore) {
  for (const char* name : {"hypervisor", "hypervisor-window"}) {
    Kernel k(core_profile(), kernel_profile(),
             config(name, false, "per-page", Granularity::kPte, 4));
    k.spawn(1);
    k.clone_thread(1, 2);
    const std::uint64_t at = map_and_write(k, 1);
    EXPECT_TRUE(k.touch(2, at, poe::AccessKind::kRead));
    const PhysAddr entry = leaf_entry_of(k, at);
    System& s = k.system();
    for (std::size_t c = 0; c < s.machine.core_count(); ++c) {
      cpu::Core& core = s.machine.core(c);
      EXPECT_TRUE(core.store64(linear_va(entry), 0).stage2) << name;
      const mmu::Descriptor d{s.machine.memory().read64(entry)};
      s.tables.update(core, entry, d.with(mmu::field::kSoftware, 1 + c));
      EXPECT_EQ(mmu::field::kSoftware.get(s.machine.memory().read64(entry)), 1 + c) << name;
      EXPECT_TRUE(core.store64(linear_va(entry), 0).stage2) << name;
    }
    EXPECT_EQ(k.audit().stale_leaves, 0u);
  }
}

TEST(Hypervisor, AWindowOfOneCoreIsNoOthers) {
  Kernel k(core_profile(), kernel_profile(), hypervisor(false, 2));
  k.spawn(1);
  const PhysAddr entry = leaf_entry_of(k, map_and_write(k, 1));
  System& s = k.system();
  cpu::Core& other = s.machine.core(1);
  const Window window(s.tables, s.machine.core(0), frame_of(entry));
  EXPECT_TRUE(other.store64(linear_va(entry), 0).stage2);
}

// fork copies 4,096 entries and write-protects their originals, in a lazy section for each of eight
// tables.
TEST(Hypervisor, CallsPerFork) {
  constexpr std::uint64_t kEntries = kBytes / kPageSize, kTables = kBytes / kPmdSize;
  const auto of_fork = [&](bool lazy) {
    Kernel k(core_profile(), kernel_profile(), hypervisor(lazy));
    k.spawn(1);
    map_and_write(k, 1, kBytes, kPmdSize * 16);
    const std::uint64_t calls = hypervisor_total(k, cpu::Event::kHvc),
                        writes = k.system().tables.writes();
    const std::uint64_t made = k.system().allocator->statistics().allocated;
    k.fork(1, 2);
    const std::uint64_t marks = k.system().allocator->statistics().allocated - made;
    return std::pair{hypervisor_total(k, cpu::Event::kHvc) - calls - marks,
                     k.system().tables.writes() - writes};
  };
  const auto [by_entry, written] = of_fork(false);
  EXPECT_EQ(by_entry, written);
  EXPECT_GE(written, 2 * kEntries);
  const auto [by_section, same] = of_fork(true);
  EXPECT_EQ(same, written);
  // 1,024 entries a section, 256 a call; what else is written has calls of its own, or shares them.
  EXPECT_GT(by_section, kTables * 4);
  EXPECT_LE(by_section, kTables * 4 + written - 2 * kEntries);
}

TEST(Hypervisor, AnExceptionInAWindowLeavesTheQueueWaiting) {
  Kernel k(core_profile(), kernel_profile(), hypervisor(true));
  k.spawn(1);
  const PhysAddr entry = leaf_entry_of(k, map_and_write(k, 1));
  System& s = k.system();
  cpu::Core& core = s.machine.core(0);
  const mmu::Descriptor d{s.machine.memory().read64(entry)};
  const std::uint64_t before = hypervisor_total(k, cpu::Event::kHvc);
  {
    const LazySection lazy(s.tables, core, Target());
    s.tables.update(core, entry, d);
    const std::uint64_t saved = s.protection->exception_entry(core);
    EXPECT_TRUE(core.store64(linear_va(entry), 0).stage2);
    EXPECT_EQ(hypervisor_total(k, cpu::Event::kHvc), before);
    s.protection->exception_return(core, saved);
    s.tables.update(core, entry, d);
    EXPECT_EQ(hypervisor_total(k, cpu::Event::kHvc), before);
  }
  EXPECT_EQ(hypervisor_total(k, cpu::Event::kHvc), before + 1);
  { const LazySection nothing(s.tables, core, Target()); }
  EXPECT_EQ(hypervisor_total(k, cpu::Event::kHvc), before + 1);  // an empty queue needs no call
}

TEST(Hypervisor, AFreedTableIsWritableAgain) {
  Kernel k(core_profile(), kernel_profile(), hypervisor(false));
  k.spawn(1);
  const std::uint64_t at = map_and_write(k, 1, kPmdSize, kPmdSize * 16);
  const PhysAddr entry = leaf_entry_of(k, at);
  cpu::Core& core = k.system().machine.core(0);
  EXPECT_TRUE(core.store64(linear_va(entry), 0));
  k.munmap(1, at, kPmdSize);
  k.clock().wait_for_rcu();
  core.continue_at(1);
  EXPECT_FALSE(core.store64(linear_va(entry), 0));
}

// The first mark splits a block of 1 GB and one of 2 MB, break before make: three times both TLBIs.
// Later ones nearby need one each.
TEST(Hypervisor, MarkingCostsEveryTlbEntry) {
  Config unmarked = hypervisor(false);
  unmarked.policy.allocator.name = "buddy";
  Kernel k(core_profile(), kernel_profile(), unmarked);
  System& s = k.system();
  cpu::Core& core = s.machine.core(0);
  const auto tlbi = [&](mmu::TlbiKind kind) { return core.happened(cpu::tlbi_event(kind)); };
  const Pfn frame = s.allocate_page(s.machine.core(0));
  const auto expect = [&](std::uint64_t single, std::uint64_t whole) {
    EXPECT_EQ(tlbi(mmu::TlbiKind::kIpas2e1), single);
    EXPECT_EQ(tlbi(mmu::TlbiKind::kVmalle1), single);
    EXPECT_EQ(tlbi(mmu::TlbiKind::kVmalls12e1), whole);
  };
  s.protection->mark(core, frame, 1, TableKind::kUser);
  expect(3, 0);
  EXPECT_TRUE(core.mmu().empty());
  s.protection->unmark(core, frame, 1);
  expect(4, 0);
  s.protection->unmark(core, frame, 1);  // nothing changes, nothing is forgotten
  expect(4, 0);
  const Pfn run(align_down(frame.value, kEntriesPerTable));
  s.protection->mark(core, run, kEntriesPerTable, TableKind::kPool);
  expect(4, 1);
  s.protection->mark(core, run + kEntriesPerTable, kEntriesPerTable, TableKind::kPool);
  expect(5, 1);  // a whole block
  EXPECT_EQ(hypervisor_total(k, cpu::Event::kHvc), 5u);
}

// Pages that are in the TLBs as writable ones, on each core.
TEST(Hypervisor, ARunThatBecomesTablesIsRefusedAtOnce) {
  Kernel k(core_profile(), kernel_profile(), hypervisor(false, 2));
  System& s = k.system();
  constexpr std::uint64_t kPages = 8;
  const Pfn first = *s.buddy.allocate(3, Mobility::kUnmovable);
  const auto refused = [&] {
    std::uint64_t sum = 0;
    for (std::size_t c = 0; c < s.machine.core_count(); ++c) {
      for (std::uint64_t i = 0; i < kPages; ++i) {
        sum += s.machine.core(c).store64(linear_va(address_of(first + i)), 0).stage2 ? 1 : 0;
      }
    }
    return sum;
  };
  EXPECT_EQ(refused(), 0u);
  s.protection->mark(s.machine.core(0), first, kPages, TableKind::kPool);
  EXPECT_EQ(refused(), 2 * kPages);
  s.protection->unmark(s.machine.core(0), first, kPages);
  EXPECT_EQ(refused(), 0u);
}

// Hardware would fault on each first use: boot leaves the updates to the kernel.
TEST(Hypervisor, TheKernelSetsAccessFlagAndDirtyState) {
  Kernel k(core_profile(), kernel_profile(), hypervisor(false));
  k.spawn(1);
  Vma huge = rw();
  huge.huge = HugeAdvice::kHugepage;
  const std::uint64_t block = k.mmap(1, huge, kPmdSize, kPmdSize * 16);
  ASSERT_TRUE(k.touch(1, block, poe::AccessKind::kWrite));
  const std::uint64_t page = map_and_write(k, 1, kPageSize, kPmdSize * 32);
  for (const std::uint64_t at : {block, page}) {
    k.madvise_free(1, at, at == block ? kPmdSize : kPageSize);  // old and clean
    const PhysAddr entry = leaf_entry_of(k, at);
    const auto descriptor = [&] {
      return mmu::Descriptor{k.system().machine.memory().read64(entry)};
    };
    EXPECT_FALSE(is_young(descriptor()));
    EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kRead));
    EXPECT_TRUE(is_young(descriptor()));
    EXPECT_FALSE(is_dirty(descriptor()));
    EXPECT_TRUE(k.touch(1, at, poe::AccessKind::kWrite));
    EXPECT_TRUE(is_dirty(descriptor()));
  }
  EXPECT_EQ(hypervisor_total(k, cpu::Event::kHardwareUpdate), 0u);
  EXPECT_EQ(hypervisor_total(k, cpu::Event::kFaultAccessFlag),
            2u);  // and none that stage 2 refuses
}

// Not even a stage 1 mapping of one's own reaches the hypervisor's memory.
TEST(Hypervisor, Stage2sTablesAreNotMappedForTheKernel) {
  Kernel k(core_profile(), kernel_profile(), hypervisor(false));
  cpu::Core& core = k.system().machine.core(0);
  const Pfn root = frame_of(PhysAddr(core.mmu().registers().vttbr));
  const VirtAddr alias = alias_of(k, root);
  core.continue_at(1);
  const mmu::Fault fault = core.load64(alias).fault;
  EXPECT_EQ(fault.kind, mmu::FaultKind::kTranslation);
  EXPECT_TRUE(fault.stage2);
  EXPECT_FALSE(fault.table_walk);
}

// More than 1 TB of memory: IPAs of 48 bits, a level more.
TEST(Hypervisor, LargeMemoriesBootToo) {
  Config large = hypervisor(false);
  large.memory_bytes = 2ull << 40;
  Kernel k(core_profile(), kernel_profile(), large);
  k.spawn(1);
  const PhysAddr entry = leaf_entry_of(k, map_and_write(k, 1, kPageSize));
  cpu::Core& core = k.system().machine.core(0);
  EXPECT_TRUE(core.store64(linear_va(entry), 0).stage2);
  EXPECT_EQ(core.mmu().stage2()->regime().start_level, 0);
}

}  // namespace
}  // namespace kpksim::kernel
