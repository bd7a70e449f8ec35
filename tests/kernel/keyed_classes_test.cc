// Protected classes under any strategy and budget: what a context must reach it reaches, and a
// stray store through the MMU gets exactly where the assignment says, at rest, in a context, in one
// within another, in an interrupt and while the task sleeps.

#include "sim/kernel/object/keyed_classes.h"

#include <rapidcheck.h>

#include <fstream>

#include "sim/base/error.h"
#include "tests/kernel/fixture.h"
#include "tests/scratch.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint32_t kKeyedClassesTask = 1;

ProtectedClass protected_class(const std::string& name, std::uint64_t objects, bool secret) {
  ProtectedClass c;
  c.name = name;
  c.objects = objects;
  c.object_bytes = 64;
  c.secret = secret;
  return c;
}

Classes page_tables_alone() {
  Classes out;
  out.classes.push_back({"page_tables", "", ClassModel::kPageTables});
  ClassContext windows;
  windows.name = "page_tables";
  windows.writes = {0};
  out.contexts.push_back(windows);
  return out;
}

ClassContext context(const std::string& name, std::vector<std::size_t> writes,
                     std::vector<std::size_t> reads = {}) {
  ClassContext c;
  c.name = name;
  c.writes = std::move(writes);
  c.reads = std::move(reads);
  return c;
}

Config with(const Classes& classes, pkrs::Strategy strategy, unsigned budget) {
  Config c = config("kpkeys-poe", false, "per-page", Granularity::kPte);
  c.memory_bytes = 256ull << 20;
  const auto demand =
      demand_of(classes, std::vector<std::uint64_t>(classes.contexts.size(), 1), 1 << 20);
  c.classes = std::make_shared<const ClassPlan>(
      ClassPlan{classes, false, pkrs::assign(demand, strategy, budget)});
  return c;
}

struct Reach {
  bool load = false, store = false;
  bool operator==(const Reach&) const = default;
};
Reach reach(Kernel& k, cpu::Core& core, std::size_t of) {
  const VirtAddr va = linear_va(k.system().classes->pages(of).word(0));
  return {!core.load64(va).fault, !core.store64(va, 1)};
}

// What the assignment promises, without registers: a context reaches what shares a key with what it
// uses, and of levels all below. Outside contexts nothing is written and no secret is read.
Reach promised(const KeyedClasses& classes, std::optional<std::size_t> in, std::size_t of) {
  const ClassPlan& plan = classes.plan();
  const bool secret = plan.classes.classes[of].secret;
  Reach out{!secret, false};
  if (!in) return out;
  const ClassContext& c = plan.classes.contexts[*in];
  bool shares = false;
  for (const std::size_t w : c.writes) {
    if (classes.key(w) != classes.key(of)) continue;
    shares = true;
    out = {true, true};
  }
  for (const std::size_t r : c.reads) {
    if (classes.key(r) != classes.key(of)) continue;
    shares = true;
    out.load = true;
  }
  const bool below = plan.assignment.strategy == pkrs::Strategy::kHierarchical &&
                     plan.assignment.reaches[*in][of] && !shares;
  if (below) out = {true, !secret};
  return out;
}

void expect_promised(Kernel& k, cpu::Core& core, std::optional<std::size_t> in,
                     const std::string& where) {
  const KeyedClasses& classes = *k.system().classes;
  for (std::size_t of = 1; of < classes.plan().classes.classes.size(); ++of) {
    const Reach is = reach(k, core, of), should = promised(classes, in, of);
    RC_ASSERT_FALSE(is.load != should.load);
    if (is == should) continue;
    RC_FAIL(where + ": class " + std::to_string(of) + ", store " + (is.store ? "1" : "0"));
  }
}

Classes random_classes(std::size_t most) {
  Classes out = page_tables_alone();
  const auto n = *rc::gen::inRange<std::size_t>(1, most + 1);
  for (std::size_t i = 0; i < n; ++i) {
    out.classes.push_back(protected_class("class" + std::to_string(i),
                                          *rc::gen::inRange<std::uint64_t>(1, 200),
                                          *rc::gen::inRange(0, 4) == 0));
  }
  const auto contexts = *rc::gen::inRange<std::size_t>(1, 6);
  for (std::size_t i = 0; i < contexts; ++i) {
    ClassContext c;
    c.name = "context" + std::to_string(i);
    for (std::size_t k = 1; k <= n; ++k) {
      const int use = *rc::gen::inRange(0, 6);
      if (use == 0) c.writes.push_back(k);
      if (use == 1 && out.classes[k].secret) c.reads.push_back(k);
    }
    c.stores = *rc::gen::inRange<std::uint64_t>(1, 4);
    c.sleeps = *rc::gen::inRange<std::uint64_t>(0, 3);
    c.instructions = 20;
    const bool nested = i > 0 && *rc::gen::inRange(0, 3) == 0;
    if (nested) {
      c.inside = *rc::gen::inRange<std::size_t>(1, out.contexts.size());
    } else {
      c.micro_entries[static_cast<std::size_t>(Trigger::kOpen)] =
          *rc::gen::inRange<std::uint64_t>(200'000, 2'000'000);
    }
    out.contexts.push_back(c);
  }
  return out;
}

TEST(KeyedClasses, StrayStoresGetWhereTheAssignmentSaysAndNowhereElse) {
  rc::check([] {
    const Classes classes = random_classes(12);
    const auto strategy = static_cast<pkrs::Strategy>(*rc::gen::inRange(0, 6));
    const unsigned budget = *rc::gen::element(4u, 6u, 8u, 9u, 16u, 17u, 40u, 128u);
    const Config c = with(classes, strategy, budget);
    if (!c.classes->assignment.refusal.empty()) return;
    Kernel k(core_profile(), kernel_profile(), c);
    KeyedClasses& at_work = *k.system().classes;
    cpu::Core& core = k.system().machine.core(0);
    k.spawn(kKeyedClassesTask);
    at_work.at_each_entry(
        [&](cpu::Core& on, std::size_t in) { expect_promised(k, on, in, "in a context"); });
    at_work.set_sleep(
        [&](cpu::Core& on) { expect_promised(k, on, std::nullopt, "while it sleeps"); });
    for (int i = 0; i < 8; ++i) {
      k.system_call(kKeyedClassesTask, {CallKind::kOpen});
      expect_promised(k, core, std::nullopt, "at rest");
    }
    const AuditResult audit = k.audit();
    RC_ASSERT(audit.stale_leaves + audit.stale_tables == 0u);
  });
}

TEST(KeyedClasses, AnInterruptInAContextFindsTheRegisterAtRest) {
  Classes classes = page_tables_alone();
  classes.classes.push_back(protected_class("state", 10, false));
  classes.contexts.push_back(context("update", {1}));
  classes.contexts[1].instructions = 1000;
  classes.contexts[1].micro_entries[static_cast<std::size_t>(Trigger::kOpen)] = 1'000'000;
  Kernel k(core_profile(), kernel_profile(), with(classes, pkrs::Strategy::kDedicated, 8));
  k.spawn(kKeyedClassesTask);
  cpu::Core& core = k.system().machine.core(0);
  Protection& protection = *k.system().protection;
  bool in_context = false;
  int inside = 0;
  const VirtAddr va = linear_va(k.system().classes->pages(1).word(0));
  core.set_timer(100, [&] {
    if (core.level() == 0) return;
    // The interrupted code's rights tell whether it was in a context.
    in_context = !core.store64(va, 1);
    core.take_exception();
    const std::uint64_t saved = protection.exception_entry(core);
    EXPECT_TRUE(core.store64(va, 1)) << "an interrupt writes the class";
    protection.exception_return(core, saved);
    core.eret(1);
    inside += in_context ? 1 : 0;
    EXPECT_EQ(!core.store64(va, 1), in_context) << "the context has lost its rights";
  });
  k.system_call(kKeyedClassesTask, {CallKind::kOpen});
  EXPECT_GT(inside, 5);
}

TEST(KeyedClasses, AVirtualKeyIsTakenFromTheClassThatWasUsedLongestAgo) {
  Classes classes = page_tables_alone();
  const Trigger triggers[] = {Trigger::kOpen, Trigger::kStat, Trigger::kRead};
  for (std::size_t i = 1; i <= 3; ++i) {
    classes.classes.push_back(protected_class("class" + std::to_string(i), 100, false));
    classes.contexts.push_back(context("context" + std::to_string(i), {i}));
    classes.contexts[i].micro_entries[static_cast<std::size_t>(triggers[i - 1])] = 1'000'000;
  }
  // Key 0, page tables, the parked, and two that go around.
  Kernel k(core_profile(), kernel_profile(), with(classes, pkrs::Strategy::kVirtualised, 5));
  k.spawn(kKeyedClassesTask);
  const KeyedClasses& at_work = *k.system().classes;
  const PkeyIndex parked = at_work.plan().assignment.parked;
  for (const CallKind call : {CallKind::kOpen, CallKind::kStat, CallKind::kOpen, CallKind::kRead}) {
    k.system_call(kKeyedClassesTask, {call});
  }
  EXPECT_EQ(at_work.key(2), parked);  // stat()'s: the others came after it
  EXPECT_NE(at_work.key(1), parked);
  EXPECT_NE(at_work.key(3), parked);
  EXPECT_EQ(at_work.statistics().evictions, 1u);
  EXPECT_EQ(at_work.statistics().brought, 3u);
  for (std::size_t of = 1; of <= 3; ++of) {
    EXPECT_EQ(k.system().linear_map.key_of(k.system().machine.memory(), at_work.pages(of).first()),
              at_work.key(of));
  }
}

TEST(KeyedClasses, UnneededBytesAreThoseOfTheClassesThatShare) {
  Classes classes = page_tables_alone();
  classes.classes.push_back(protected_class("a", 10, false));   // 640 bytes
  classes.classes.push_back(protected_class("b", 100, false));  // 6400
  classes.contexts.push_back(context("of_a", {1}));
  classes.contexts.push_back(context("of_b", {2}));
  for (std::size_t i = 1; i <= 2; ++i) {
    classes.contexts[i].micro_entries[static_cast<std::size_t>(Trigger::kOpen)] = 1'000'000;
  }
  const auto over = [&](unsigned budget) {
    Kernel k(core_profile(), kernel_profile(),
             with(classes, pkrs::Strategy::kSharedBalanced, budget));
    k.spawn(kKeyedClassesTask);
    k.system_call(kKeyedClassesTask, {CallKind::kOpen});
    return k.system().classes->uses();
  };
  const auto apart = over(8);
  EXPECT_EQ(apart[1].over, 0u);
  const auto together = over(3);
  EXPECT_GT(together[1].millicycles, 0u);
  EXPECT_EQ(together[1].over, pkrs::Cost{together[1].millicycles} * 6400);
  EXPECT_EQ(together[2].over, pkrs::Cost{together[2].millicycles} * 640);
}

TEST(KeyedClasses, AKeyBeyondSixteenNeedsAFurtherRegisterAndIsNoOther) {
  Classes classes = page_tables_alone();
  for (std::size_t i = 1; i <= 40; ++i) {
    classes.classes.push_back(protected_class("class" + std::to_string(i), 1, false));
  }
  classes.contexts.push_back(context("of_40", {40}));
  classes.contexts[1].micro_entries[static_cast<std::size_t>(Trigger::kOpen)] = 1'000'000;
  Kernel k(core_profile(), kernel_profile(), with(classes, pkrs::Strategy::kDedicated, 64));
  k.spawn(kKeyedClassesTask);
  int seen = 0;
  k.system().classes->at_each_entry([&](cpu::Core& core, std::size_t) {
    for (std::size_t of = 1; of <= 40; ++of) EXPECT_EQ(reach(k, core, of).store, of == 40) << of;
    ++seen;
  });
  k.system_call(kKeyedClassesTask, {CallKind::kOpen});
  EXPECT_EQ(seen, 1);
}

std::string error_of(const std::string& text) {
  const std::string path = test::scratch_file("classes.json");
  std::ofstream(path) << text;
  try {
    read_classes(path);
  } catch (const InputError& e) {
    const std::string what = e.what();
    return what.substr(what.find(':') + 1);
  }
  return "";
}

TEST(ClassesFile, MistakesAreToldWithLineAndTheNearestName) {
  const std::string a = R"({"name": "n", "classes": [{"name": "alpha", "source": "s", )"
                        R"("objects": 1, "bytes": 64}],)"
                        "\n";
  EXPECT_EQ(error_of(a + R"("contexts": [{"name": "c", "source": "s", "writes": ["alhpa"]}]})"),
            "2:54: /contexts/0/writes/0: 'alhpa' is not a class; did you mean 'alpha'?");
  EXPECT_EQ(error_of(a + R"("contexts": [{"name": "c", "source": "s", "reads": ["alpha"]}]})"),
            "2:53: /contexts/0/reads/0: 'alpha' is no secret: everybody reads it");
  EXPECT_EQ(error_of(a + R"("contexts": [{"name": "c", "source": "s", "writes": ["alpha"], )"
                         R"("calls": {"opne": 1}}]})"),
            "2:82: /contexts/0/calls/opne: 'opne' is not a call; did you mean 'open'?");
  EXPECT_EQ(error_of(a + R"("contexts": [{"name": "c", "source": "s", "writes": ["alpha"], )"
                         R"("inside": "c"}]})"),
            "2:74: /contexts/0/inside: contexts lie inside one another");
}

TEST(ClassesFile, CredentialsOfTheFullModelHaveTheirOwnSizeAndContext) {
  const auto file = [](const std::string& classes, const std::string& context) {
    return R"({"name": "n", "classes": [)" + classes + "],\n" + R"("contexts": [)" + context + "]}";
  };
  const std::string cred = R"({"name": "cred", "model": "cred", "source": "s"})";
  const std::string a = R"({"name": "a", "source": "s", "objects": 1, "bytes": 64})";
  const std::string of_a = R"({"name": "c", "source": "s", "writes": ["a"]})";
  EXPECT_EQ(error_of(file(a + "," + cred, of_a)), "");
  EXPECT_EQ(
      error_of(file(a + "," + cred, R"({"name": "c", "source": "s", "writes": ["cred"]})")),
      "2:54: /contexts/0/writes/0: credentials are written by the kernel model's own sections");
  EXPECT_EQ(error_of(file(a + "," + cred, R"({"name": "cred", "source": "s", "writes": ["a"]})")),
            "2:23: /contexts/0/name: 'cred' is always there, and not declared");
  EXPECT_EQ(error_of(file(a + "," + cred,
                          R"({"name": "c", "source": "s", "writes": ["a"], "inside": "cred"})")),
            "2:70: /contexts/0/inside: sections of credentials are the kernel model's own");
  EXPECT_EQ(error_of(file(cred + R"(, {"name": "d", "model": "cred", "source": "s"})", of_a)),
            "1:100: /classes/1/model: credentials are the class 'cred' already");
  EXPECT_NE(error_of(file(R"({"name": "a", "source": "s", "objects": 1})", of_a)).find("'bytes'"),
            std::string::npos);
  EXPECT_NE(error_of(file(R"({"name": "a", "model": "crde", "source": "s"})", of_a)).find("model"),
            std::string::npos);
  EXPECT_EQ(error_of(file(R"({"name": "a", "model": "cred", "bytes": 64, "source": "s"})", of_a)),
            "1:67: /classes/0/bytes: the model of 'a' has its own 'bytes'");
}

TEST(ClassesFile, ARateThatIsNoneIsAViolationAndNoDefect) {
  const std::string text =
      R"({"name": "n", "classes": [{"name": "alpha", "source": "s", "objects": 1, "bytes": 64}],)"
      R"("contexts": [{"name": "c", "source": "s", "writes": ["alpha"], "calls": {"open": "1"}}]})";
  EXPECT_NE(error_of(text).find("/contexts/0/calls/open: expected number"), std::string::npos)
      << error_of(text);
}

// Each holds its class while the next is entered within it.
TEST(KeyedClasses, NestedContextsNeedTheirVirtualKeysAtOnce) {
  Classes classes = page_tables_alone();
  for (std::size_t i = 1; i <= 4; ++i) {
    classes.classes.push_back(protected_class("class" + std::to_string(i), 1, false));
    classes.contexts.push_back(context("context" + std::to_string(i), {i}));
    if (i > 1) classes.contexts[i].inside = i - 1;
  }
  // Key 0, page tables, the parked, and four.
  EXPECT_NE(with(classes, pkrs::Strategy::kVirtualised, 6).classes->assignment.refusal, "");
  EXPECT_EQ(with(classes, pkrs::Strategy::kVirtualised, 7).classes->assignment.refusal, "");
}

TEST(ClassesFile, TheShippedOneHasTheProposedUsers) {
  const Classes linux = read_classes(kpksim::test::source_path("classes/linux.json"));
  EXPECT_EQ(linux.classes.size(), 10u);
  for (const ProtectedClass& c : linux.classes) EXPECT_FALSE(c.source.empty()) << c.name;
}

}  // namespace
}  // namespace kpksim::kernel
