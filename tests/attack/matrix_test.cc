// Each verdict of the matrix in docs/threat-model.md is what one mechanism does: with this alone
// switched off, the same strikes get through. A success is what the last strike does: without it
// nothing is reached.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "sim/attack/battle.h"
#include "sim/kernel/protect/wrapped.h"
#include "tests/kernel/fixture.h"

namespace kpksim::attack {
namespace {

enum class Mechanism : std::uint8_t {
  kMark,       // what tells page tables apart: a key, a mapping's rights, a tag, stage 2
  kTagCheck,   // loads and stores compare tags
  kException,  // an exception closes the window that was open
  kOwnCore,    // a window is in the register of the core that has opened it
  kCredKey,    // credentials have a key
  kClassKey,   // classes have keys
};

// A protection without one of its mechanisms. Tags are never compared: where a key and tags both
// stop a store, the tags would stop it still.
class Without final : public kernel::Wrapped {
 public:
  Without(std::unique_ptr<kernel::Protection> inner, Mechanism off)
      : Wrapped(std::move(inner)), off_(off) {}

  void boot(mmu::Registers& regs) const override {
    Wrapped::boot(regs);
    regs.sctlr = mmu::sctlr::kTcf.set(regs.sctlr, 0);
  }
  void mark(cpu::Core& core, Pfn first, std::uint64_t count, kernel::TableKind kind) override {
    if (off_ != Mechanism::kMark) Wrapped::mark(core, first, count, kind);
  }
  void unmark(cpu::Core& core, Pfn first, std::uint64_t count) override {
    if (off_ != Mechanism::kMark) Wrapped::unmark(core, first, count);
  }
  std::uint64_t open(cpu::Core& core, const kernel::Target& target) override {
    const std::uint64_t before = Wrapped::open(core, target);
    if (off_ == Mechanism::kOwnCore) everywhere(core);
    return before;
  }
  void close(cpu::Core& core, const kernel::Target& target, std::uint64_t before,
             bool synchronised) override {
    Wrapped::close(core, target, before, synchronised);
    if (off_ == Mechanism::kOwnCore) everywhere(core);
  }
  std::uint64_t exception_entry(cpu::Core& core) override {
    return off_ == Mechanism::kException ? 0 : Wrapped::exception_entry(core);
  }
  void exception_return(cpu::Core& core, std::uint64_t saved) override {
    if (off_ != Mechanism::kException) Wrapped::exception_return(core, saved);
  }

 private:
  // All cores have the register of this one.
  static void everywhere(cpu::Core& core) {
    for (unsigned c = 0; c < core.machine().core_count(); ++c) {
      cpu::Core& other = core.machine().core(c);
      if (other.id() == core.id()) continue;
      other.msr_por_el1(core.mrs_por_el1());
      other.isb();
    }
  }

  const Mechanism off_;
};

std::string file_of(const std::string& scenario) {
  return test::source_path("workloads/attacks/" + scenario + ".json");
}

Verdict matrix_fight_of(const Scenario& scenario, const std::string& policy,
                        std::optional<Mechanism> off = {}) {
  kernel::Config config;
  config.policy = kernel::parse_policy(policy);
  config.memory_bytes = 512ull << 20;
  config.cores = 2;
  if (off) {
    config.around = [off](std::unique_ptr<kernel::Protection> inner) {
      return std::make_unique<Without>(std::move(inner), *off);
    };
  }
  return fight(scenario, kernel::mte_core_profile(), kernel::kernel_profile(), config, {40, 1});
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Which mechanism stops this, of those that the policy has.
Mechanism mechanism_of(const Scenario& scenario, const std::string& policy,
                       const Verdict& verdict) {
  const bool keys = has(policy, "kpkeys-poe");
  if (verdict.draws > 1 || has(text_of(verdict), "tag check")) return Mechanism::kTagCheck;
  if (scenario.classes && keys) return Mechanism::kClassKey;
  if (scenario.credentials && has(policy, "cred=on")) return Mechanism::kCredKey;
  if (keys && (scenario.name == "window-interrupt" || scenario.name == "fork-stores")) {
    return Mechanism::kException;
  }
  if (keys && scenario.name == "window-other-core") return Mechanism::kOwnCore;
  return Mechanism::kMark;
}

// The same policy and scenario without it.
Verdict without(Mechanism mechanism, const Scenario& scenario, const std::string& policy) {
  switch (mechanism) {
    case Mechanism::kCredKey:
      return matrix_fight_of(scenario, "kpkeys-poe,pba,block");
    case Mechanism::kClassKey:
      return matrix_fight_of(scenario, "none,buddy,pte");
    default:
      return matrix_fight_of(scenario, policy, mechanism);
  }
}

// copy_to_user() stores with the rights of EL0; without that it is a store of the kernel's.
Scenario privileged(Scenario scenario) {
  for (Strike& strike : scenario.strikes) {
    if (strike.primitive == Primitive::kCopyToUser) strike.primitive = Primitive::kWrite;
  }
  return scenario;
}

// The strike falls before the page is marked instead of after it is unmarked: it becomes a table.
Scenario still_hooked(Scenario scenario) {
  for (Strike& strike : scenario.strikes) {
    if (strike.when == When::kUnmarking) strike.when = When::kMarking;
  }
  return scenario;
}

void check(const Scenario& scenario, const std::string& policy) {
  const Verdict verdict = matrix_fight_of(scenario, policy);
  switch (verdict.outcome) {
    case Outcome::kSucceeded: {
      if (verdict.successes < verdict.draws && verdict.draws > 1) break;  // below
      Scenario idle = scenario;
      idle.strikes.pop_back();
      EXPECT_NE(matrix_fight_of(idle, policy).outcome, Outcome::kSucceeded);
      if (scenario.injections.empty()) return;
      Scenario sound = scenario;  // its kernel forgets nothing
      sound.injections.clear();
      EXPECT_NE(matrix_fight_of(sound, policy).outcome, Outcome::kSucceeded);
      return;
    }
    case Outcome::kStoppedByAllocator:
      EXPECT_NE(matrix_fight_of(scenario, "kpkeys-poe,per-page,pte").outcome,
                Outcome::kStoppedByAllocator);
      return;
    case Outcome::kFreedTable:
      // What marks pages has flushed what the kernel forgot; or the page was unhooked in time.
      if (!scenario.injections.empty()) break;
      EXPECT_NE(matrix_fight_of(still_hooked(scenario), policy).outcome, Outcome::kFreedTable);
      return;
    case Outcome::kNoOccasion:
      // No window of a register, or no page that is marked by itself: with both the moment comes.
      EXPECT_NE(matrix_fight_of(scenario, "kpkeys-poe,per-page,pte").outcome, Outcome::kNoOccasion);
      return;
    case Outcome::kNotModelled:
      EXPECT_TRUE(scenario.classes);
      return;
    case Outcome::kNoEffect:
      ADD_FAILURE() << "strikes that lead nowhere prove nothing";
      return;
    case Outcome::kStoppedByFault:
      break;
  }
  const Verdict off =
      without(mechanism_of(scenario, policy, verdict), privileged(scenario), policy);
  EXPECT_EQ(off.outcome, Outcome::kSucceeded) << text_of(verdict) << " becomes " << text_of(off);
  EXPECT_TRUE(off.draws == 1 || off.draws == off.successes) << text_of(off);
}

class EachVerdict : public ::testing::TestWithParam<std::string> {};

TEST_P(EachVerdict, IsAnotherWhenItsMechanismIsSwitchedOff) {
  const Scenario scenario = read_scenario(file_of(GetParam()));
  for (const std::string& policy : usual_policies()) {
    SCOPED_TRACE(policy);
    check(scenario, policy);
  }
}

std::vector<std::string> shipped() {
  std::vector<std::string> out;
  for (const auto& file :
       std::filesystem::directory_iterator(test::source_path("workloads/attacks"))) {
    const std::string name = file.path().stem().string();
    if (file.path().extension() == ".json" && name != "schema") out.push_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

INSTANTIATE_TEST_SUITE_P(Attacks, EachVerdict, ::testing::ValuesIn(shipped()), [](const auto& p) {
  std::string name = p.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace kpksim::attack
