// One planted fault for each rule of the sanitizer, with its history; and what is no fault.

#include "sim/kernel/prot.h"
#include "tests/check/watched.h"

namespace kpksim::check {
namespace {

using kernel::kRead;
using kernel::kSmall;
using kernel::kWrite;

TEST(Sanitizer, TellsOfAStaleTranslationAndOfItsUse) {
  Watched w("skip:tlbi.mprotect");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  w.k.mprotect(1, at, kPageSize, true, false, false);
  EXPECT_TRUE(w.tells(Rule::kStaleEntry, {"descriptor at", "cached for", "mprotect: descriptor at",
                                          "flush 'mprotect'"}));
  EXPECT_EQ(w.find(Rule::kStaleUse), nullptr);
  EXPECT_TRUE(w.k.touch(1, at, kWrite)) << "the write is let through";
  EXPECT_TRUE(w.tells(Rule::kStaleUse, {"mprotect: descriptor at"}));
}

TEST(Sanitizer, TellsOfAnEntryThatIsMadeOverOneThatIsCached) {
  Watched w("skip:tlbi.cow-break");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  w.k.fork(1, 2);
  w.k.touch(1, at, kRead);
  w.k.touch(1, at, kWrite);
  EXPECT_TRUE(w.tells(Rule::kBreakBeforeMake, {"cached for", "cow: descriptor at", "'cow-break'"}));
}

TEST(Sanitizer, TellsOfAnEntryThatIsChangedInPlace) {
  Watched w("");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  kernel::System& system = w.k.system();
  cpu::Core& core = system.machine.core(w.k.cpu_of(1));
  const PhysAddr entry = system.find_entry(core, w.k.root_of(1), VirtAddr(at), 3, false);
  const mmu::Descriptor d{system.tables.read(core, entry)};
  system.tables.set_pte(core, entry,
                        kernel::user_leaf(address_of(system.zero_page), 3, false, false), false);
  EXPECT_NE(d.pfn(), system.zero_page);
  EXPECT_TRUE(w.tells(Rule::kBreakBeforeMake, {"0x0 ->", "descriptor at"}));
}

TEST(Sanitizer, TellsOfAPageThatIsFreedBeforeItsTlbiIsComplete) {
  Watched w("skip:dsb-after.unmap");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  w.k.munmap(1, at, kPageSize);
  ASSERT_TRUE(w.tells(Rule::kPageFreed, {"munmap: descriptor at", "'unmap' begins", "TLBI"}));
  EXPECT_NE(w.find(Rule::kPageFreed)->text.find("a TLBI waits for its DSB"), std::string::npos);
}

TEST(Sanitizer, TellsOfATableThatIsFreedWhileItIsCached) {
  Watched w("skip:tlbi.exit-mm");
  w.k.fork(1, 2);
  kernel::map_and_write(w.k, 2, kPageSize);
  w.k.exit(2);
  EXPECT_TRUE(w.tells(Rule::kTableFreed, {"becomes a page table"}));
}

TEST(Sanitizer, TellsOfAPageThatIsGivenBackWithItsKey) {
  Watched w("skip:unmark.user-leaf");
  w.k.fork(1, 2);
  kernel::map_and_write(w.k, 2, kPageSize);
  try {
    w.k.exit(2);
  } catch (const kernel::KernelOops&) {  // the page's next owner meets the key
  }
  EXPECT_TRUE(w.tells(Rule::kTableFreed, {"are marked", "becomes a page table", "are unmarked"}));
}

TEST(Sanitizer, TellsOfATableThatCanBeWrittenAtRest) {
  Watched w("skip:mark.user-leaf");
  kernel::map_and_write(w.k, 1, kPageSize);
  EXPECT_TRUE(w.tells(Rule::kWritableTable, {"becomes a page table"}));
}

TEST(Sanitizer, TellsOfATableThatIsMappedASecondTimeWithAnotherKey) {
  Watched w("");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, 2 * kPageSize);
  w.k.madvise_dontneed(1, at, kPageSize);
  kernel::System& system = w.k.system();
  cpu::Core& core = system.machine.core(w.k.cpu_of(1));
  const Pfn root = w.k.root_of(1);
  const PhysAddr entry = system.find_entry(core, root, VirtAddr(at), 3, false);
  system.tables.set_pte(core, entry, kernel::user_leaf(address_of(root), 3, true, false), false);
  EXPECT_TRUE(w.tells(Rule::kAlias, {"are marked", "becomes a page table"}));
}

TEST(Sanitizer, TellsOfATlbiThatDidNotWaitForTheStore) {
  Watched w("skip:dsb-before.mprotect");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  w.k.mprotect(1, at, kPageSize, true, false, false);
  EXPECT_TRUE(w.tells(Rule::kMissingDsb, {"mprotect: descriptor at", "'mprotect' begins", "TLBI"}));
}

TEST(Sanitizer, TellsOfAReturnThatDidNotWaitForTlbis) {
  Watched w("skip:dsb-after.mprotect");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  w.k.mprotect(1, at, kPageSize, true, false, false);
  EXPECT_TRUE(w.tells(Rule::kMissingDsb, {"'mprotect' begins", "TLBI", "return to EL0"}));
}

TEST(Sanitizer, TellsOfARegisterThatNoIsbHasPutInForce) {
  Watched w("skip:isb.window-close");
  kernel::map_and_write(w.k, 1, kPageSize);
  EXPECT_TRUE(w.tells(Rule::kMissingIsb, {"key register written: 0x57", "key register written"}));
}

TEST(Sanitizer, TellsOfAWindowThatStaysOpen) {
  Watched w("skip:close.set-pte");
  kernel::map_and_write(w.k, 1, kPageSize);
  EXPECT_TRUE(w.tells(Rule::kOpenWindow, {"key register written: 0x57"}));
}

TEST(Sanitizer, TellsOfAHandlerThatRunsInAWindow) {
  Watched w("skip:reset.exception", "kpkeys-poe+lazy,per-page,pte");
  w.k.clock().set_timer(300);
  kernel::map_and_write(w.k, 1, kSmall);
  w.k.fork(1, 2);
  ASSERT_TRUE(w.tells(Rule::kOpenWindow, {"key register written: 0x57", "exception from EL1"}));
  EXPECT_NE(w.find(Rule::kOpenWindow)->text.find("in the handler"), std::string::npos);
}

TEST(Sanitizer, TellsOfARegisterValueThatIsNoContext) {
  Watched w("");
  cpu::Core& core = w.k.system().machine.core(0);
  core.msr_por_el1(0x77);
  core.isb();
  EXPECT_TRUE(w.tells(Rule::kNoContext, {"key register written: 0x77"}));
}

TEST(Sanitizer, HintsAtWhatIsDoneForNothing) {
  Watched w("");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kSmall);
  w.k.munmap(1, at, kSmall);
  EXPECT_NE(w.find(Rule::kWideTlbi), nullptr) << "the other core has never run it";
  // Each page that gets its key: the entry's own DSB, and the flush's.
  ASSERT_NE(w.find(Rule::kDoubledBarrier), nullptr);
  cpu::Core& core = w.k.system().machine.core(0);
  core.tlbi({mmu::TlbiKind::kVale1}, mmu::encode_va(VirtAddr(at), Asid(77), 0));
  core.dsb_ish();
  EXPECT_NE(w.find(Rule::kUselessTlbi), nullptr) << "no address space has this ASID";
  EXPECT_TRUE(w.sanitizer.report().findings().empty());
}

// Linux 7.3: a write fault on a page that is writable by now is found to be spurious, and the
// core that had it flushes for itself. Without hardware's dirty state that is what a first write
// leaves on other cores.
TEST(Sanitizer, KnowsThatEntriesMayGainRightsLazily) {
  cpu::CoreProfile core = kernel::core_profile();
  core.hafdbs = false;
  for (const bool lazy : {false, true}) {
    Watched w("skip:tlbi.write-reuse", "none,buddy,pte", core, {.gains_are_lazy = lazy});
    w.k.touch(2, kernel::page_read_by_two(w.k), kWrite);
    EXPECT_EQ(w.find(Rule::kStaleEntry) == nullptr, lazy);
  }
}

TEST(Sanitizer, KnowsThatHardwareDirtiesPagesWithoutTellingOtherCores) {
  Watched w("", "none,buddy,pte");
  const std::uint64_t at = kernel::page_read_by_two(w.k);
  w.k.touch(2, at, kWrite);
  w.k.touch(1, at, kWrite);
  EXPECT_TRUE(w.sanitizer.report().findings().empty());
}

// An onlooker: the run has the same events with it and without it.
TEST(Sanitizer, ChangesNothing) {
  const auto run = [](bool watched) {
    kernel::Life life("kpkeys-poe+lazy,per-page,pte", {}, kernel::core_profile(),
                      kernel::kernel_profile(), watched);
    std::optional<Sanitizer> sanitizer;
    if (watched) sanitizer.emplace(life.k);
    life.k.spawn(1);
    for (const auto scene : kernel::kScenes) scene(life);
    return life.k.system().machine.core(0).counters().count;
  };
  EXPECT_EQ(run(true), run(false));
}

// The seventh flush of a folio's split alone: the six before it and those after it are done.
TEST(Injection, OneOccurrenceCanBeLeftOut) {
  const auto pages = [](const char* fault) {
    Watched w(fault, "none,buddy,pte");
    const std::uint64_t at = kernel::map_and_write(w.k, 1, 10 * kPageSize);
    for (std::uint64_t i = 0; i < 10; ++i) w.k.munmap(1, at + i * kPageSize, kPageSize);
    const Finding* const stale = w.find(Rule::kStaleEntry);
    return stale == nullptr ? 0 : stale->count;
  };
  EXPECT_EQ(pages(""), 0u);
  const std::uint64_t one = pages("skip:tlbi.unmap:7");
  EXPECT_GT(one, 0u);
  EXPECT_GT(pages("skip:tlbi.unmap"), one);
  EXPECT_EQ(pages("skip:tlbi.unmap:11"), 0u);
}

TEST(Injection, WhatIsDelayedComesWithTheNextEntryToTheKernel) {
  Watched w("delay:tlbi.mprotect", "none,buddy,pte");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  w.k.mprotect(1, at, kPageSize, true, false, false);
  EXPECT_NE(w.find(Rule::kStaleEntry), nullptr);
  cpu::Core& core = w.k.system().machine.core(w.k.cpu_of(1));
  EXPECT_EQ(core.outstanding_tlbis(), 0u);
  w.k.null_syscall(1);
  EXPECT_EQ(core.outstanding_tlbis(), 1u) << "and no DSB has waited for it";
}

TEST(Injection, WhatIsSwappedComesAfterTheNextOperation) {
  Watched w("swap:tlbi.mprotect", "none,buddy,pte");
  const std::uint64_t at = kernel::map_and_write(w.k, 1, kPageSize);
  w.k.mprotect(1, at, kPageSize, true, false, false);
  EXPECT_EQ(w.k.system().machine.core(w.k.cpu_of(1)).outstanding_tlbis(), 1u)
      << "its own DSB was before it";
}

TEST(Injection, WhatInterruptedCoresDoCanOnlyBeSkipped) {
  for (const char* policy : {"kpkeys-pks,per-page,pte", "none,buddy,pte,ipi"}) {
    const cpu::CoreProfile& core = kernel::core_profile_for(kernel::parse_policy(policy));
    EXPECT_NO_THROW(Watched("skip:tlbi.unmap", policy, core));
    EXPECT_THROW(Watched("delay:tlbi.unmap", policy, core), InputError);
    EXPECT_NO_THROW(Watched("delay:mark.user-leaf", "kpkeys-poe,per-page,pte"));
  }
}

TEST(Injection, BadTextsAreRefusedWithTheNearestName) {
  const auto message = [](const char* text) -> std::string {
    try {
      kernel::parse_injection(text);
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(message("skip").find("expected ACTION:SITE"), std::string::npos);
  EXPECT_NE(message("skipp:tlbi.unmap").find("did you mean 'skip'"), std::string::npos)
      << message("skipp:tlbi.unmap");
  EXPECT_NE(message("skip:tlbi.unmpa").find("tlbi.unmap"), std::string::npos);
  EXPECT_NE(message("skip:tlbi.unmap:0").find("no occurrence"), std::string::npos);
  EXPECT_NE(message("delay:open.set-pte").find("not delayed"), std::string::npos);
  EXPECT_EQ(kernel::text_of(kernel::parse_injection("swap:tlbi.unmap:7")), "swap:tlbi.unmap:7");
}

}  // namespace
}  // namespace kpksim::check
