// Page tables told apart by tags: who may write them, what a guess is worth, and both marks at
// once.

#include <array>
#include <set>

#include "sim/base/error.h"
#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

constexpr mmu::MemoryTag kMtePlain(15);  // of a pointer of the linear map, and of ordinary memory
constexpr std::uint64_t kTables = 32;
constexpr std::uint64_t kLines = kPageSize / cpu::kLineBytes;

// A process with a leaf table for each 2 MB of its memory.
class Mte : public testing::Test {
 protected:
  void boot(const std::string& protection, const GivenParameters& parameters = {}) {
    Config c = config(protection, false, "per-page", Granularity::kPte);
    c.policy.protection.parameters = parameters;
    kernel_.emplace(mte_core_profile(), kernel_profile(), c);
    kernel_->spawn(1);
    at_ = kernel_->mmap(1, rw(), kTables * kPmdSize, 0);
    for (std::uint64_t n = 0; n < kTables; ++n) {
      EXPECT_TRUE(kernel_->touch(1, at_ + n * kPmdSize, poe::AccessKind::kWrite));
    }
    core().continue_at(1);
  }
  cpu::Core& core() { return kernel_->system().machine.core(0); }
  mmu::PhysicalMemory& memory() { return kernel_->system().machine.memory(); }
  mmu::MemoryTag tag_of(PhysAddr pa) { return memory().tags().at(pa); }
  // The entry of the first page that leaf table n maps.
  PhysAddr entry(std::uint64_t n) {
    return mmu::walk(memory(), core().mmu().registers(), VirtAddr(at_ + n * kPmdSize)).address;
  }
  static VirtAddr pointer(PhysAddr pa, mmu::MemoryTag tag) {
    return mmu::with_logical_tag(linear_va(pa), tag);
  }
  std::uint64_t total(cpu::Event event) { return core().counters().total(event); }

  std::optional<Kernel> kernel_;
  std::uint64_t at_ = 0;
};

TEST_F(Mte, AStoreNeedsThePagesTag_AndAReadToo) {
  boot("mte");
  const PhysAddr word = entry(0);
  const std::uint64_t before = memory().read64(word);
  unsigned pass = 0;
  for (std::uint8_t t = 0; t < mmu::kTags; ++t) {
    const mmu::MemoryTag tag(t);
    const bool right = tag == tag_of(word);
    const mmu::Fault fault = core().store64(pointer(word, tag), before);
    EXPECT_EQ(fault.kind, right ? mmu::FaultKind::kNone : mmu::FaultKind::kTagCheck);
    EXPECT_EQ(static_cast<bool>(core().load64(pointer(word, tag)).fault), !right);
    pass += right ? 1 : 0;
  }
  EXPECT_EQ(pass, 1u);
  EXPECT_NE(tag_of(word), kMtePlain) << "a stray pointer of the linear map";
}

TEST_F(Mte, AHelperWritesWithoutAWindow) {
  boot("mte");
  PageTables& tables = kernel_->system().tables;
  const mmu::Descriptor now{memory().read64(entry(0))};
  const std::uint64_t stores = total(cpu::Event::kStore), loads = total(cpu::Event::kTagLoad);
  tables.set_pte(core(), entry(0), now.with(mmu::field::kSoftware, 8), false);
  EXPECT_EQ(memory().read64(entry(0)), now.with(mmu::field::kSoftware, 8).raw);
  tables.set_pte(core(), entry(0), now, false);
  EXPECT_EQ(total(cpu::Event::kStore) - stores, 2u);
  EXPECT_EQ(total(cpu::Event::kTagLoad) - loads, 2u);
  EXPECT_EQ(total(cpu::Event::kMsrPor), 0u);
}

TEST_F(Mte, APageIsTaggedWhileItIsATable_EachLineByAStore) {
  boot("mte");
  std::array<PhysAddr, kTables> words;
  for (std::uint64_t n = 0; n < kTables; ++n) {
    words[n] = entry(n);
    for (std::uint64_t at = 0; at < kPageSize; at += mmu::kTagGranule) {
      EXPECT_EQ(tag_of(address_of(frame_of(words[n])) + at), tag_of(words[n]));
    }
  }
  const std::uint64_t stores = total(cpu::Event::kTagStore);
  const auto& allocator = *kernel_->system().allocator;
  const std::uint64_t freed = allocator.statistics().freed;
  kernel_->munmap(1, at_, kTables * kPmdSize);
  kernel_->clock().wait_for_rcu();
  const std::uint64_t pages = allocator.statistics().freed - freed;
  EXPECT_GE(pages, kTables);
  EXPECT_EQ(total(cpu::Event::kTagStore) - stores, pages * kLines);
  core().continue_at(1);
  for (const PhysAddr word : words) {
    EXPECT_EQ(tag_of(word), kMtePlain);
    EXPECT_FALSE(core().store64(linear_va(word), 0));
  }
}

TEST_F(Mte, AGuessPassesOnceInTheTagsInUse) {
  for (const unsigned tags : {1u, 4u, 14u, 15u}) {
    boot("mte", {{"tags", std::to_string(tags)}});
    std::set<mmu::MemoryTag> drawn;
    std::uint64_t pass = 0;
    for (std::uint64_t n = 0; n < kTables; ++n) {
      const PhysAddr word = entry(n);
      drawn.insert(tag_of(word));
      for (std::uint8_t guess = 0; guess < tags; ++guess) {
        const mmu::Fault fault =
            core().store64(pointer(word, mmu::MemoryTag(guess)), memory().read64(word));
        pass += fault ? 0 : 1;
      }
    }
    EXPECT_EQ(pass, kTables) << "of " << kTables * tags << " guesses";
    EXPECT_LE(drawn.size(), tags);
    EXPECT_GT(drawn.size(), tags / 2) << "tags are drawn for each page";
    EXPECT_LT(drawn.rbegin()->value, tags);
  }
}

TEST_F(Mte, TagsFollowFromTheSeed) {
  std::array<std::array<mmu::MemoryTag, kTables>, 3> drawn;
  const char* const seeds[] = {"1", "1", "2"};
  for (std::size_t run = 0; run < drawn.size(); ++run) {
    boot("mte", {{"seed", seeds[run]}});
    for (std::uint64_t n = 0; n < kTables; ++n) drawn[run][n] = tag_of(entry(n));
  }
  EXPECT_EQ(drawn[0], drawn[1]);
  EXPECT_NE(drawn[0], drawn[2]);
}

// Linux with KASAN_HW_TAGS: TCR_EL1.TCMA1.
TEST_F(Mte, WithMatchAllAPlainPointerPasses_AndAWrongTagDoesNot) {
  boot("mte", {{"match_all", "on"}});
  const PhysAddr word = entry(0);
  EXPECT_FALSE(core().store64(linear_va(word), memory().read64(word)));
  const mmu::MemoryTag wrong(static_cast<std::uint8_t>(tag_of(word).value ^ 1));
  EXPECT_EQ(core().store64(pointer(word, wrong), 0).kind, mmu::FaultKind::kTagCheck);
}

TEST_F(Mte, TheKernelsOwnBootTablesAreTagged) {
  boot("mte");
  const LinearMap& map = kernel_->system().linear_map;
  for (const auto& [first, count] : map.boot_tables()) {
    for (std::uint64_t i = 0; i < count; ++i) {
      EXPECT_NE(tag_of(address_of(first + i)), kMtePlain);
    }
  }
}

TEST_F(Mte, WithAKeyAStoreNeedsTheWindowAndTheTag) {
  boot("kpkeys-poe+mte");
  const PhysAddr word = entry(0);
  const VirtAddr right = pointer(word, tag_of(word)), plain = linear_va(word);
  ASSERT_NE(right, plain);
  for (const VirtAddr va : {right, plain}) {  // the overlay comes first
    const mmu::Fault fault = core().store64(va, 0);
    EXPECT_EQ(fault.kind, mmu::FaultKind::kPermission);
    EXPECT_TRUE(fault.overlay);
  }
  EXPECT_EQ(core().load64(plain).fault.kind, mmu::FaultKind::kTagCheck) << "the key lets one read";
  EXPECT_FALSE(core().load64(right).fault);
  const std::uint64_t now = memory().read64(word);
  {
    const Window window(kernel_->system().tables, core(), frame_of(word));
    EXPECT_EQ(core().store64(plain, 0).kind, mmu::FaultKind::kTagCheck);
    EXPECT_FALSE(core().store64(right, now));
  }
  kernel_->system().tables.set_pte(core(), word, mmu::Descriptor{now}, false);
  EXPECT_EQ(memory().read64(word), now);
}

// Tags and keys do not get into each other's way: what either alone has to do is done.
TEST_F(Mte, WithAKeyThereAreTheWindowsOfOneAndTheTagsOfTheOther) {
  using Total = std::array<std::uint64_t, 4>;
  const auto totals = [&](const std::string& protection) {
    boot(protection);
    return Total{total(cpu::Event::kMsrPor), total(cpu::Event::kIsb), total(cpu::Event::kTagStore),
                 total(cpu::Event::kTagLoad)};
  };
  const Total key = totals("kpkeys-poe"), tag = totals("mte"), both = totals("kpkeys-poe+mte");
  EXPECT_EQ(both[0], key[0]);
  EXPECT_EQ(both[1], key[1]);
  EXPECT_EQ(both[2], tag[2]);
  EXPECT_GT(both[3], tag[3]) << "pointers to the tables in which keys are set";
}

}  // namespace
}  // namespace kpksim::kernel
