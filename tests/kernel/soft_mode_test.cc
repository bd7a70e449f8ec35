// Soft mode of every protection that refuses stores: a stray store is counted and let pass, its
// page is an ordinary one then, and the kernel goes on. Without soft mode it is the kernel's end.

#include <algorithm>

#include "sim/kernel/protect/protection.h"
#include "sim/mmu/walker.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {

void PrintTo(const ProtectionInfo* info, std::ostream* os) { *os << info->name; }

namespace {

const cpu::CoreProfile& core_for(const ProtectionInfo& info) {
  Policy policy;
  policy.protection.name = info.name;
  return core_profile_for(policy);
}

// A kernel with two processes that have written, and the last words of their leaf tables.
struct SoftModeWorld {
  SoftModeWorld(const ProtectionInfo& info, bool soft)
      : k(core_for(info), kernel_profile(), with(info, soft)) {
    for (const std::uint32_t id : {1u, 2u}) {
      k.spawn(id);
      k.switch_to(id);
      const std::uint64_t at = map_and_write(k, id, 1 << 20);
      const mmu::WalkResult leaf =
          mmu::walk(k.system().machine.memory(), core.mmu().registers(), VirtAddr(at));
      words.push_back(address_of(frame_of(leaf.address)) + 511 * 8);
      k.system().machine.memory().write64(words.back(), kValue);
    }
  }
  static Config with(const ProtectionInfo& info, bool soft) {
    Config c;
    c.policy.protection.name = info.name;
    if (soft) c.policy.protection.parameters["soft"] = "on";
    c.policy.allocator.name = "per-page";
    c.memory_bytes = 256ull << 20;
    return c;
  }
  // By the linear map, without a tag: no helper's pointer.
  void stray_store(std::size_t table) { k.memory().write(linear_va(words[table]).value); }
  std::uint64_t word(std::size_t table) const {
    return k.system().machine.memory().read64(words[table]);
  }
  const ProtectionStatistics& statistics() const { return k.system().protection->statistics(); }

  static constexpr std::uint64_t kValue = 0x100;  // no valid descriptor

  Kernel k;
  cpu::Core& core = k.system().machine.core(0);
  std::vector<PhysAddr> words;
};

class SoftStores : public testing::TestWithParam<const ProtectionInfo*> {};

TEST_P(SoftStores, Off_AStrayStoreEndsTheKernel) {
  SoftModeWorld w(*GetParam(), false);
  EXPECT_THROW(w.stray_store(0), KernelOops);
  EXPECT_EQ(w.word(0), SoftModeWorld::kValue);
  EXPECT_EQ(w.statistics().violations, 0u);
}

TEST_P(SoftStores, On_ItIsCountedOnce_AndThePageIsWritableAfterIt) {
  SoftModeWorld w(*GetParam(), true);
  w.stray_store(0);
  EXPECT_EQ(w.word(0), 0u);
  EXPECT_EQ(w.statistics().violations, 1u);
  EXPECT_FALSE(w.core.store64(linear_va(w.words[0]), SoftModeWorld::kValue));
  w.stray_store(0);
  EXPECT_EQ(w.statistics().violations, 1u);
}

TEST_P(SoftStores, On_OtherPagesStayProtected_AndAreCountedWhenTheyAreHit) {
  SoftModeWorld w(*GetParam(), true);
  w.stray_store(0);
  EXPECT_TRUE(w.core.store64(linear_va(w.words[1]), 0));
  w.stray_store(1);
  EXPECT_EQ(w.statistics().violations, 2u);
  EXPECT_EQ(w.statistics().first->address, linear_va(w.words[0]));
}

TEST_P(SoftStores, On_TheFirstIsKeptWithCoreCauseAndSyndrome) {
  SoftModeWorld w(*GetParam(), true);
  const mmu::Fault fault = w.core.store64(linear_va(w.words[0]), 0);
  ASSERT_TRUE(fault);
  w.stray_store(0);
  const Violation first = w.statistics().first.value();
  const bool x86 = w.k.system().machine.profile().architecture == cpu::Architecture::kX86;
  EXPECT_EQ(first.address, fault.far);
  EXPECT_EQ(first.core, 0u);
  EXPECT_EQ(kCauseNames[first.cause], "vmalloc");
  EXPECT_EQ(first.syndrome, x86 ? mmu::page_fault_code(fault)
                                : mmu::esr_of(fault, {poe::AccessKind::kWrite, 1, false}));
}

// Inside a window and a lazy MMU section too, in which the handler itself is not.
TEST_P(SoftStores, On_TheKernelGoesOn) {
  SoftModeWorld w(*GetParam(), true);
  System& s = w.k.system();
  w.core.continue_at(1);
  {
    const LazySection lazy(s.tables, w.core, Target(frame_of(w.words[1])));
    w.stray_store(0);
  }
  {
    const Window window(s.tables, w.core, frame_of(w.words[1]));
    w.stray_store(0);
  }
  w.core.continue_at(0);
  w.stray_store(1);  // a table must not end with a word that is no descriptor
  w.k.switch_to(1);
  w.k.fork(1, 3);
  map_and_write(w.k, 3, 1 << 20);
  const AuditResult audit = w.k.audit();
  EXPECT_EQ(audit.stale_leaves + audit.stale_tables, 0u);
  w.k.exit_all();
}

// The page is open from then on, at rest and not for a while.
TEST_P(SoftStores, On_ThePageIsExposedAtRest) {
  SoftModeWorld w(*GetParam(), true);
  System& s = w.k.system();
  const auto at_rest = [&] {
    const ExposureSums before = s.exposure.sums();
    const std::uint64_t start = w.core.elapsed().rest;
    w.core.execute(1000);
    const ExposureSums d = exposure_since(before, s.exposure.sums());
    ByteMillicycles sum = 0;
    for (const ByteMillicycles owner : d.at_rest) sum += owner;
    return static_cast<std::uint64_t>(sum / (w.core.elapsed().rest - start)) / kPageSize;
  };
  const std::uint64_t before = at_rest();
  w.stray_store(0);
  EXPECT_EQ(at_rest() - before, 1u);
}

std::vector<const ProtectionInfo*> that_refuse() {
  std::vector<const ProtectionInfo*> out = Protections::all();
  std::erase_if(out, [](const ProtectionInfo* p) { return p->refuses.empty(); });
  return out;
}
INSTANTIATE_TEST_SUITE_P(All, SoftStores, testing::ValuesIn(that_refuse()), [](const auto& p) {
  std::string name(p.param->name);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

TEST(SoftModes, EachProtectionThatTellsPagesApartHasOne) {
  for (const ProtectionInfo* info : Protections::all()) {
    const auto& declared = info->parameters;
    const bool has = std::any_of(declared.begin(), declared.end(),
                                 [](const ParameterInfo& p) { return p.name == "soft"; });
    EXPECT_EQ(has, !info->marks.empty()) << info->name;
    EXPECT_EQ(info->refuses.empty(), info->marks.empty()) << info->name;
  }
}

// A fault that no protection causes stays what it is.
TEST(SoftModes, AStoreToAnAddressThatIsNotMappedEndsTheKernel) {
  SoftModeWorld w(Protections::find("kpkeys-poe", "protection"), true);
  EXPECT_THROW(w.k.memory().write(kVmallocStart), KernelOops);
  EXPECT_THROW(w.k.memory().write(linear_va(PhysAddr(1ull << 46)).value), KernelOops);
  EXPECT_EQ(w.statistics().violations, 0u);
}

// Nor is it a key's doing that a page is read-only.
TEST(SoftModes, AStoreThatAnotherMechanismRefusesEndsTheKernel) {
  SoftModeWorld w(Protections::find("kpkeys-poe", "protection"), true);
  System& s = w.k.system();
  s.linear_map.set_memory(w.core, s.kernel_data, 1, kSetMemoryRo);
  EXPECT_THROW(w.k.memory().write(linear_va(address_of(s.kernel_data)).value), KernelOops);
  EXPECT_EQ(w.statistics().violations, 0u);
}

}  // namespace
}  // namespace kpksim::kernel
