// Every combination of parts that goes together: what it protects is protected at rest and writable
// through the helpers, nothing is ever stale, and at the end all tables are free and unmarked.

#include <algorithm>
#include <map>
#include <sstream>

#include "sim/mmu/walker.h"
#include "tests/kernel/cred_policies.h"
#include "tests/kernel/random_calls.h"

namespace kpksim::kernel {

namespace {

Config config_of(const Policy& policy) {
  Config c;
  c.policy = policy;
  c.memory_bytes = 256ull << 20;
  return c;
}

bool protects(const Policy& policy) {
  return !Protections::find(policy.protection.name, "").marks.empty() &&
         Allocators::find(policy.allocator.name, "").marks;
}

// What a store that is no helper's meets at rest, and which tables are protected.
struct AtRest {
  mmu::FaultKind fault;
  bool overlay = false;
  bool all = true;  // else a process's leaf tables alone
  bool stage2 = false;
};
AtRest at_rest(const Policy& policy) {
  static const std::map<std::string_view, AtRest> by_mark = {
      {"a key", {mmu::FaultKind::kPermission, true}},
      {"a tag", {mmu::FaultKind::kTagCheck}},
      {"a key and a tag", {mmu::FaultKind::kPermission, true}},
      {"read-only", {mmu::FaultKind::kPermission}},
      {"stage 2", {mmu::FaultKind::kPermission, false, true, true}},
      {"unmapped", {mmu::FaultKind::kTranslation, false, false}},
  };
  return by_mark.at(Protections::find(policy.protection.name, "").marks);
}

// All tables below `root`, itself not among them, and their levels.
using Tables = std::map<Pfn, unsigned>;
void tables_below(const mmu::PhysicalMemory& memory, Pfn root, unsigned level, Tables& found) {
  if (level == mmu::kLastLevel) return;
  for (unsigned i = 0; i < kEntriesPerTable; ++i) {
    const mmu::Descriptor d{memory.read64(address_of(root) + i * 8)};
    if (!d.valid() || !d.table_or_page()) continue;
    found[d.pfn()] = level + 1;
    tables_below(memory, d.pfn(), level + 1, found);
  }
}

Tables user_tables(Kernel& k) {
  const Pfn root = frame_of(PhysAddr(k.system().machine.core(0).mmu().registers().ttbr0 &
                                     mmu::field::kOutputAddress.mask()));
  Tables found = {{root, 0}};
  tables_below(k.system().machine.memory(), root, 0, found);
  return found;
}

Pfn leaf_table(Kernel& k) {
  const Tables tables = user_tables(k);
  return std::find_if(tables.begin(), tables.end(),
                      [](const auto& t) { return t.second == mmu::kLastLevel; })
      ->first;
}

Tables vmalloc_tables(Kernel& k, std::uint64_t va) {
  Tables found;
  Pfn table = k.system().linear_map.root();
  for (unsigned level = 0; level < mmu::kLastLevel; ++level) {
    const PhysAddr e = address_of(table) + ((va >> mmu::level_shift(level)) & 511) * 8;
    table = mmu::Descriptor{k.system().machine.memory().read64(e)}.pfn();
    found[table] = 0;  // no process's leaf table
  }
  return found;
}

class EveryPolicy : public testing::TestWithParam<Policy> {};

// v6's KUnit cases: a store that is no helper's, to a table of each level, of a user process and of
// vmalloc's addresses. The page's word stays as it is.
TEST_P(EveryPolicy, AStoreThatIsNoHelpersIsRefusedAtRest_OrNothingIsProtected) {
  Kernel k(core_profile_for(GetParam()), kernel_profile(), config_of(GetParam()));
  k.spawn(1);
  map_and_write(k, 1, 64 << 10);
  const std::uint64_t va = k.memory().vmalloc(1, false);
  cpu::Core& core = k.system().machine.core(0);
  Tables tables = user_tables(k);
  tables.merge(vmalloc_tables(k, va));
  ASSERT_GE(tables.size(), 7u);
  for (const auto& [table, level] : tables) {
    const PhysAddr word = address_of(table) + 511 * 8;
    const std::uint64_t before = k.system().machine.memory().read64(word);
    const mmu::Fault fault = core.store64(linear_va(word), before ^ 0x100);
    if (!protects(GetParam()) || (!at_rest(GetParam()).all && level != mmu::kLastLevel)) {
      EXPECT_FALSE(fault);
      k.system().machine.memory().write64(word, before);
      continue;
    }
    EXPECT_EQ(fault.kind, at_rest(GetParam()).fault) << std::hex << table.value;
    EXPECT_EQ(fault.overlay, at_rest(GetParam()).overlay);
    EXPECT_EQ(fault.stage2, at_rest(GetParam()).stage2);
    EXPECT_EQ(k.system().machine.memory().read64(word), before);
  }
}

TEST_P(EveryPolicy, WindowsNestAndGiveBackWhatWas) {
  Kernel k(core_profile_for(GetParam()), kernel_profile(), config_of(GetParam()));
  k.spawn(1);
  map_and_write(k, 1, 64 << 10);
  System& s = k.system();
  cpu::Core& core = s.machine.core(0);
  core.continue_at(1);
  const Pfn table = leaf_table(k);
  const PhysAddr word = address_of(table) + 511 * 8;
  const auto refused = [&] {
    return static_cast<bool>(core.store64(s.tables.pointer_to(core, word), 0));
  };
  // By the kernel's own pointer, which is all that a protection without windows asks for.
  const bool closed = protects(GetParam()) && window_of(GetParam());
  EXPECT_EQ(refused(), closed);
  {
    const Window outer(s.tables, core, table);
    EXPECT_FALSE(refused());
    {
      const Window inner(s.tables, core, table);
      EXPECT_FALSE(refused());
      // An exception in a window finds it closed, where it is the core's own.
      const std::uint64_t saved = s.protection->exception_entry(core);
      if (s.protection_info.opens_all) {
        EXPECT_EQ(refused(), closed);
      }
      s.protection->exception_return(core, saved);
      core.eret(1);
      EXPECT_FALSE(refused());
    }
    EXPECT_FALSE(refused());
  }
  EXPECT_EQ(refused(), closed);
}

TEST_P(EveryPolicy, RandomCallsLeaveNothingStaleAndNothingBehind) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess = 15;
  params.maxSize = 60;
  const auto result = rc::detail::checkTestable(
      [&] {
        const auto steps = *rc::gen::container<std::vector<Step>>(step());
        World world(config_of(GetParam()));
        for (const Step& s : steps) world.execute(s);
        world.end();
      },
      rc::detail::TestMetadata(), params);
  std::ostringstream message;
  rc::detail::printResultMessage(result, message);
  EXPECT_TRUE(result.template is<rc::detail::SuccessResult>()) << message.str();
}

// Those of AArch64, with credentials too, and what x86-64 alone can run.
std::vector<Policy> policies() {
  std::vector<Policy> all = every_policy(mte_core_profile());
  const std::vector<Policy> creds = cred_policies();
  all.insert(all.end(), creds.begin(), creds.end());
  const std::size_t arm = all.size();
  for (const Policy& p : every_policy(x86_core_profile())) {
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(arm);
    if (std::find(all.begin(), end, p) == end) all.push_back(p);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, EveryPolicy, testing::ValuesIn(policies()), test_name);

}  // namespace
}  // namespace kpksim::kernel
