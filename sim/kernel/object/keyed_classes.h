#pragma once
// Protected classes at work: their objects lie in pages with keys, and each call, fault or switch
// that a class's contexts name enters those contexts, whose loads and stores go through the MMU
// under the register that the context's constant has set. Credentials run in the full model
// (sim/kernel/object/cred.h): their sections are entries of the context of their class.
//
// Contexts nest (`inside`), the task may sleep in one (its register is saved, another thread runs
// with the register at rest), and interrupts that come in one find the register at rest. A
// virtualised context first brings its classes in: each that has no key takes the free one, or
// the one whose class was used longest ago. That class is parked. Both are set_memory_pkey() of all
// their pages, with its splits and TLBIs, as nobody can split with a spinlock held: a context that
// may find its class parked is one that may sleep. A section of credentials may stand in a callback
// of RCU, where nobody sleeps; it need not, for what was keyed once is not split again. It may come
// in the middle of another context's bringing-in: what is half done there that it needs, it
// completes first.
//
// Which words are accessed is drawn from a seed. How often is the file's: an assumption of its own.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "sim/base/statistic.h"
#include "sim/kernel/object/class_pages.h"
#include "sim/kernel/object/class_slabs.h"
#include "sim/kernel/object/classes.h"
#include "sim/kernel/object/object_key.h"
#include "sim/kernel/pgtable.h"
#include "sim/kernel/protect/key_contexts.h"

namespace kpksim::kernel {

struct ClassStatistics {
  std::uint64_t entries = 0, switches = 0, loads = 0, stores = 0, sleeps = 0;
  std::uint64_t evictions = 0, brought = 0, keyed_pages = 0;
};
inline constexpr std::array<Statistic<ClassStatistics>, 8> kClassStatistics = {{
    {"entries", "entries", "contexts entered", &ClassStatistics::entries},
    {"switches", "writes", "writes of the key register for them", &ClassStatistics::switches},
    {"loads", "loads", "loads of objects in them", &ClassStatistics::loads},
    {"stores", "stores", "stores to objects in them", &ClassStatistics::stores},
    {"sleeps", "sleeps", "times that a task slept in one", &ClassStatistics::sleeps},
    {"evictions", "classes", "classes parked, as another needed their key",
     &ClassStatistics::evictions},
    {"brought", "classes", "classes that were given a key", &ClassStatistics::brought},
    {"keyed_pages", "pages", "pages keyed for both", &ClassStatistics::keyed_pages},
}};

class KeyedClasses final : private ContextWatcher {
 public:
  using Sleep = std::function<void(cpu::Core&)>;  // another thread runs, and the task again

  // `contexts`: of the plan; nullptr: it is unprotected. `guard`: instructions of a section.
  KeyedClasses(const ClassPlan& plan, Buddy& buddy, LinearMap& map, PageTables& tables,
               KeyContexts* contexts, std::uint64_t guard, cpu::Core& boot);
  // The kernel runs from now on, which statistics and uses are about.
  void booted(cpu::Machine& machine);
  void set_sleep(Sleep sleep) { sleep_ = std::move(sleep); }
  // How many bytes page tables have now.
  void set_table_bytes(std::function<std::uint64_t()> bytes) { table_bytes_ = std::move(bytes); }

  void use(cpu::Core& core, Trigger trigger);

  const ClassStatistics& statistics() const { return statistics_; }
  // By context: entries, and the millicycles spent in it.
  struct Use {
    std::uint64_t entries = 0, millicycles = 0;
    pkrs::Cost over = 0;  // byte-millicycles that it could write (of secrets: read) without need
  };
  // Those of page tables are the kernel model's windows: one within another is one with it.
  const std::vector<Use>& uses() const { return uses_; }
  const ClassPlan& plan() const { return plan_; }
  // Of a class with streams of accesses.
  const ClassPages& pages(std::size_t of) const;
  // Of credentials, where they are a class.
  SlabPages* cred_pages() { return slabs_.get(); }
  ObjectSections& cred_sections() { return cred_sections_; }
  // That objects have, or the slabs that they come from; not of page tables.
  std::uint64_t bytes(std::size_t of) const { return memory_[of]->bytes(); }
  PkeyIndex key(std::size_t of) const { return keys_[of]; }
  // Bytes that a context reaches and does not use, with keys as they are.
  std::uint64_t unneeded_bytes(std::size_t context) const;
  // Around the time that a context's own accesses take, as a test of what else could be written.
  void at_each_entry(std::function<void(cpu::Core&, std::size_t)> hook) { hook_ = std::move(hook); }
  // While the task sleeps in one, and another thread has the core: `saved` is what the task's
  // register will be, which lies in memory; null where classes have no keys.
  void at_each_sleep(std::function<void(cpu::Core&, std::size_t, pkrs::KeyRegister* saved)> hook) {
    sleep_hook_ = std::move(hook);
  }

 private:
  static constexpr std::size_t kNobody = KeyContexts::kAtRest;

  class CredSections final : public ObjectSections {
   public:
    explicit CredSections(KeyedClasses& classes) : classes_(classes) {}
    bool keyed() const override { return classes_.contexts_ != nullptr; }
    std::uint64_t enter(cpu::Core& core) override { return classes_.enter_section(core); }
    void leave(cpu::Core& core, std::uint64_t before) override;

   private:
    KeyedClasses& classes_;
  };

  void enter(cpu::Core& core, std::size_t context);
  std::uint64_t enter_section(cpu::Core& core);
  // The register lets a context's classes be used, and again what it did before.
  std::uint64_t open(cpu::Core& core, std::size_t context);
  void close(cpu::Core& core, std::size_t context, std::uint64_t before);
  void work(cpu::Core& core, std::size_t context);
  void switched(cpu::Core& core, std::size_t to, bool entered) override;
  std::uint64_t set_register(cpu::Core& core, const pkrs::KeyRegister& value, std::size_t to);
  void put_back(cpu::Core& core, std::uint64_t before);
  void bring(cpu::Core& core, std::size_t context);
  unsigned choose_key(std::size_t context, std::size_t of) const;
  void give_key(std::size_t of, unsigned key);
  void settle(cpu::Core& core, std::size_t of, bool section);
  void key_anew(cpu::Core& core, std::size_t of);
  const std::vector<std::size_t>& unneeded(std::size_t context) const;
  PkeyIndex parked_key(std::size_t of) const;
  void access(cpu::Core& core, std::size_t context);

  const ClassPlan plan_;
  LinearMap& map_;
  PageTables& tables_;
  KeyContexts* const contexts_;
  const std::uint64_t guard_;
  Sleep sleep_;
  std::function<std::uint64_t()> table_bytes_ = [] { return std::uint64_t{0}; };
  std::vector<std::unique_ptr<ClassPages>> pages_;  // of classes with streams
  std::unique_ptr<ClassSlabs> slabs_;               // of credentials
  std::size_t cred_ = kNobody, cred_context_ = kNobody;
  CredSections cred_sections_{*this};
  std::vector<ClassMemory*> memory_;  // of each class but page tables
  std::vector<PkeyIndex> keys_;       // as they are
  // By class, which has been given a key: its pages do not carry it yet, nor those of who lost it
  // another.
  struct Unsettled {
    bool is = false;
    std::size_t loser = kNobody;
  };
  std::vector<Unsettled> unsettled_;
  std::vector<std::size_t> holder_;     // by key: whose it is now
  std::vector<std::uint64_t> used_at_;  // by key: virtualised ones
  std::uint64_t clock_ = 0;
  std::vector<unsigned> in_use_;              // by class: contexts that are in it
  std::vector<pkrs::KeyRegister> constants_;  // by context
  std::vector<std::uint64_t> micros_;         // by context and trigger: the rest of a rate
  std::vector<std::vector<std::size_t>> by_trigger_, nested_;
  std::vector<Use> uses_;
  struct InForce {
    std::size_t context = kNobody;
    std::uint64_t since = 0;
  };
  std::vector<InForce> in_force_;  // by core: whose register is
  // By context: classes that it reaches without need, with keys as they are; found when asked for.
  mutable std::vector<std::optional<std::vector<std::size_t>>> unneeded_;
  std::function<void(cpu::Core&, std::size_t)> hook_;
  std::function<void(cpu::Core&, std::size_t, pkrs::KeyRegister*)> sleep_hook_;
  std::mt19937_64 random_{1};
  ClassStatistics statistics_;
};

}  // namespace kpksim::kernel
