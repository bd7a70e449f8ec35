#include "sim/attack/battle.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sim/attack/struck.h"
#include "sim/base/error.h"
#include "sim/kernel/prot.h"
#include "sim/mmu/at.h"
#include "sim/workload/driver.h"

namespace kpksim::attack {
namespace {

using kernel::Kernel;
using kernel::linear_va;
using mmu::Descriptor;

constexpr std::uint64_t kEntries = 512;
constexpr unsigned kAttackersTags = 14;  // that a dangling pointer may have (KASAN_HW_TAGS)

// What a forged descriptor of a user mapping says: everything is allowed.
Descriptor forged_leaf(Pfn page) {
  return kernel::user_leaf(address_of(page), mmu::kLastLevel, true, true);
}

constexpr std::array<std::string_view, 12> kPrimitives = {
    "take",         "free",        "map_user", "write", "read",      "user_write",
    "copy_to_user", "alias_write", "flip",     "dma",   "set_saved", "set_root"};

bool refuses(const kernel::Config& config, bool (*such)(const kernel::Refusal&)) {
  const auto& info = kernel::Protections::find(config.policy.protection.name, "protection");
  return std::any_of(info.refuses.begin(), info.refuses.end(), such);
}
bool uses_tags(const kernel::Config& config) {
  return refuses(config,
                 [](const kernel::Refusal& r) { return r.kind == mmu::FaultKind::kTagCheck; });
}
bool uses_keys(const kernel::Config& config) {
  return refuses(config, [](const kernel::Refusal& r) { return r.overlay; });
}

class Battle {
 public:
  Battle(const Scenario& scenario, const cpu::CoreProfile& core,
         const kernel::KernelProfile& profile, kernel::Config config, std::optional<unsigned> tag)
      : scenario_(scenario), tag_(tag), has_key_register_(uses_keys(config)) {
    config.around = [this](std::unique_ptr<kernel::Protection> inner) {
      return std::make_unique<Struck>(std::move(inner), occasions_);
    };
    kernel_.emplace(core, profile, config);
    execution_.emplace(*kernel_);
    execution_->begin(scenario.workload);
  }

  Verdict run() {
    for (std::size_t i = 0; i < scenario_.workload.phases.size(); ++i) {
      arm(i);
      steps(scenario_.workload.phases[i].steps);
      occasions_ = {};
      for (const Strike& strike : scenario_.strikes) {
        if (strike.phase != i) continue;
        if (strike.when == When::kAtRest) {
          cpu::Core& core = context(strike);
          blow(strike, core);
        } else if (!struck_.contains(&strike)) {
          verdict_.blows.push_back({what(strike), {}, 0, false, false});
        }
      }
    }
    verdict_.outcome = outcome();
    return std::move(verdict_);
  }

 private:
  void steps(const std::vector<workload::Step>& list) {
    for (const workload::Step& step : list) {
      for (std::uint64_t i = 0; i < step.repeat; ++i) {
        if (step.body.empty()) {
          execution_->execute(step.op);
        } else {
          steps(step.body);
        }
      }
    }
  }

  // Strikes of phase `i` that wait for an occasion in it.
  void arm(std::size_t i) {
    for (const Strike& strike : scenario_.strikes) {
      if (strike.phase != i || strike.when == When::kAtRest) continue;
      if (strike.primitive == Primitive::kSetSaved) {
        if (!has_key_register_) continue;  // nothing of the kind is saved
        occasions_.exception_saved = [this, &strike](cpu::Core& core, std::uint64_t& saved) {
          if (!due(strike)) return;
          verdict_.blows.push_back({what(strike), {}, core.id(), true, false});
          saved = strike.value.number;
        };
      } else if (strike.when == When::kMarking) {
        occasions_.before_mark = [this, &strike](cpu::Core& core, Pfn page) {
          if (due(strike)) marked(strike, core, page);
        };
      } else if (strike.when == When::kUnmarking) {
        occasions_.after_unmark = [this, &strike](cpu::Core& core, Pfn page) {
          if (due(strike)) marked(strike, core, page);
        };
      } else {
        // A window for the page itself: where others open more, it is among them.
        occasions_.window_opened = [this, &strike](cpu::Core& core, const kernel::Target& target) {
          if (striking_) return;
          const bool for_all = target.begin() == target.end();
          if ((for_all || target.has(resolve(strike.page))) && due(strike)) in_window(strike, core);
        };
      }
    }
  }
  // Its occasion has come for the n-th time. What a strike itself sets off is none.
  bool due(const Strike& strike) {
    if (striking_ || ++occasions_seen_[&strike] != strike.nth) return false;
    struck_.insert(&strike);
    return true;
  }

  // An interrupt comes while the window is open, or another core strikes then.
  void in_window(const Strike& strike, cpu::Core& core) {
    striking_ = true;
    if (strike.when == When::kOtherCore) {
      blow(strike, kernel_->system().machine.core(core.id() == 0 ? 1 : 0));
    } else {
      core.take_exception();
      const std::uint64_t saved = kernel_->system().protection->exception_entry(core);
      blow(strike, core);
      kernel_->system().protection->exception_return(core, saved);
      core.eret(1);
    }
    striking_ = false;
  }
  void marked(const Strike& strike, cpu::Core& core, Pfn page) {
    striking_ = true;
    pages_["marked"] = page;
    blow(strike, core);
    striking_ = false;
  }

  cpu::Core& context(const Strike& strike) {
    cpu::Core& core = strike.task != 0 ? core_of(strike.task) : kernel_->system().machine.core(0);
    return core;
  }
  cpu::Core& core_of(std::uint32_t task) {
    if (!root_forged_) kernel_->switch_to(task);
    return kernel_->system().machine.core(kernel_->cpu_of(task));
  }

  // --- pages -----------------------------------------------------------------------------------
  Descriptor entry(Pfn table, VirtAddr va, unsigned level) const {
    const std::uint64_t index = va.value >> mmu::level_shift(level) & (kEntries - 1);
    return {memory().read64(address_of(table) + index * 8)};
  }
  // The table with the entry for `va`, at `level` or where a block ends the walk.
  Pfn table_at(Pfn root, VirtAddr va, unsigned level, const std::string& what) const {
    Pfn table = root;
    for (unsigned l = 0; l < level; ++l) {
      const Descriptor d = entry(table, va, l);
      if (!d.valid()) fail(what + " has no table at that level");
      if (d.block()) return table;
      table = d.pfn();
    }
    return table;
  }
  VirtAddr place(std::uint32_t task, std::uint32_t region, std::uint64_t offset) const {
    workload::Operation op;
    op.kind = workload::OpKind::kTouch;
    op.task = task;
    op.region = region;
    op.address = offset;
    const auto at = execution_->place_of(op);
    if (!at) fail("a region is not mapped then");
    return *at;
  }
  Pfn resolve(const PageRef& ref) {
    kernel::System& system = kernel_->system();
    switch (ref.kind) {
      case PageRef::Kind::kNamed: {
        const auto found = pages_.find(ref.name);
        if (found == pages_.end()) fail("no strike has taken the page '" + ref.name + "' before");
        return found->second;
      }
      case PageRef::Kind::kMarked:
        return pages_.at("marked");
      case PageRef::Kind::kRoot:
        return kernel_->root_of(ref.task);
      case PageRef::Kind::kSwapper:
        return system.linear_map.root();
      case PageRef::Kind::kTable:
        return table_at(kernel_->root_of(ref.task), place(ref.task, ref.region, ref.offset),
                        ref.level, "the region");
      case PageRef::Kind::kFrame: {
        const VirtAddr va = place(ref.task, ref.region, ref.offset);
        const Pfn table = table_at(kernel_->root_of(ref.task), va, mmu::kLastLevel, "the region");
        const Descriptor d = entry(table, va, mmu::kLastLevel);
        if (!d.valid()) fail("the region's page is not there");
        return d.pfn();
      }
      case PageRef::Kind::kLinear:
        return table_at(system.linear_map.root(), linear_va(address_of(pages_.at(ref.name))),
                        mmu::kLastLevel, "the linear map");
      case PageRef::Kind::kVmalloc:
        return table_at(system.linear_map.root(), place(ref.task, ref.region, ref.offset),
                        mmu::kLastLevel, "the vmalloc region");
    }
    return Pfn(0);
  }
  // Is the page one of the tables that some walk would read now?
  bool is_table(Pfn page) const {
    const auto below = [&](auto&& self, Pfn table, unsigned level) -> bool {
      if (table == page) return true;
      if (level == mmu::kLastLevel) return false;
      for (std::uint64_t i = 0; i < kEntries; ++i) {
        const Descriptor d{memory().read64(address_of(table) + i * 8)};
        if (d.valid() && !d.block() && self(self, d.pfn(), level + 1)) return true;
      }
      return false;
    };
    for (const std::uint32_t task : kernel_->alive_tasks()) {
      if (below(below, kernel_->root_of(task), 0)) return true;
    }
    return below(below, kernel_->system().linear_map.root(), 0);
  }

  // --- blows -----------------------------------------------------------------------------------
  static std::string what(const Strike& strike) {
    return std::string(kPrimitives[static_cast<std::size_t>(strike.primitive)]);
  }
  [[noreturn]] void fail(const std::string& why) const {
    throw InputError(fmt::format("{}: {}", scenario_.workload.source, why));
  }

  std::uint64_t value_of(const Forged& forged) {
    switch (forged.kind) {
      case Forged::Kind::kNumber:
        return forged.number;
      case Forged::Kind::kLeaf:
        return forged_leaf(resolve(forged.page)).raw;
      case Forged::Kind::kTable:
        return kernel::table_descriptor(resolve(forged.page)).raw;
    }
    return 0;
  }
  // As a pointer of the attacker's: to the linear map. One that dangles, or that was made up, has
  // the tag that is tried. What still lives is reached by a valid one, and ordinary memory has no
  // tags in this model.
  VirtAddr pointer(const PageRef& ref, Pfn page, std::uint64_t offset) const {
    const VirtAddr va = linear_va(address_of(page)) + offset;
    const bool ordinary = ref.kind == PageRef::Kind::kFrame || ref.kind == PageRef::Kind::kMarked;
    const bool valid =
        ordinary || (ref.kind == PageRef::Kind::kNamed && !freed_.contains(ref.name));
    return tag_ && !valid
               ? mmu::with_logical_tag(va, mmu::MemoryTag(static_cast<std::uint8_t>(*tag_)))
               : va;
  }

  void blow(const Strike& strike, cpu::Core& core) {
    Blow out{what(strike), {}, core.id(), true, false};
    kernel::System& system = kernel_->system();
    switch (strike.primitive) {
      case Primitive::kTake: {
        const auto page =
            system.buddy.allocate(strike.order, strike.movable ? kernel::Mobility::kMovable
                                                               : kernel::Mobility::kUnmovable);
        if (!page) fail("out of memory");
        pages_[strike.page.name] = *page;
        return;
      }
      case Primitive::kFree:
        system.buddy.free(resolve(strike.page), strike.order);
        freed_.insert(strike.page.name);
        return;
      case Primitive::kMapUser: {
        const VirtAddr va = place(strike.task, strike.region, strike.place);
        const PhysAddr at =
            system.find_entry(core, kernel_->root_of(strike.task), va, mmu::kLastLevel, true);
        system.tables.set_pte(core, at, forged_leaf(resolve(strike.page)), false);
        return;
      }
      case Primitive::kSetRoot: {
        core.msr_ttbr(address_of(resolve(strike.page)).value, core.mmu().registers().ttbr1);
        core.isb();
        root_forged_ = true;
        break;
      }
      case Primitive::kSetSaved:
        return;
      default:
        out = access(strike, core, out);
    }
    verdict_.blows.push_back(out);
  }

  Blow access(const Strike& strike, cpu::Core& core, Blow out) {
    kernel::System& system = kernel_->system();
    const bool by_mapping = strike.primitive == Primitive::kUserWrite;
    const std::uint64_t value = value_of(strike.value);
    std::optional<Pfn> page;
    if (!by_mapping) page = resolve(strike.page);
    const PhysAddr word = page ? address_of(*page) + strike.offset : PhysAddr(0);
    switch (strike.primitive) {
      case Primitive::kWrite:
        out.on_table = is_table(*page);
        out.fault = core.store64(pointer(strike.page, *page, strike.offset), value);
        break;
      case Primitive::kRead:
        out.on_table = is_table(*page);
        out.fault = core.load64(pointer(strike.page, *page, strike.offset)).fault;
        break;
      case Primitive::kCopyToUser:
        out.on_table = is_table(*page);
        out.fault = core.unprivileged_access(pointer(strike.page, *page, strike.offset),
                                             poe::AccessKind::kWrite);
        if (!out.fault) memory().write64(word, value);
        break;
      case Primitive::kUserWrite: {
        const VirtAddr va = place(strike.task, strike.region, strike.place) + strike.offset;
        const std::uint64_t par = mmu::par_of(core.mmu(), mmu::AtOp::kS1E0W, va, false);
        out.fault = core.user_access(va, poe::AccessKind::kWrite);
        if (!out.fault) {
          const PhysAddr at(mmu::par::kPa.get(par) << kPageShift | va.value % kPageSize);
          page = frame_of(at);
          out.on_table = is_table(*page);
          memory().write64(at, value);
        }
        break;
      }
      case Primitive::kAliasWrite: {
        const VirtAddr va(kernel_->memory().vmalloc(1, false));
        const PhysAddr at =
            system.find_entry(core, system.linear_map.root(), va, mmu::kLastLevel, false);
        system.tables.set_pte(core, at,
                              kernel::kernel_leaf(address_of(*page), mmu::kLastLevel, false), true);
        system.flush.kernel_range(core, kernel::FlushSite::kSetMemory, va, va + kPageSize);
        out.on_table = is_table(*page);
        out.fault = core.store64(va + strike.offset, value);
        break;
      }
      case Primitive::kFlip:
        out.on_table = is_table(*page);
        memory().write64(word, memory().read64(word) ^ 1ull << strike.bit);
        break;
      case Primitive::kDma:
        out.on_table = is_table(*page);
        memory().write64(word, value);
        break;
      default:
        break;
    }
    if (!out.fault && page && strike.primitive != Primitive::kRead) changed_.insert(*page);
    return out;
  }

  // --- the verdict -----------------------------------------------------------------------------
  Outcome outcome() {
    if (const auto proof = reached()) {
      verdict_.proof = *proof;
      return Outcome::kSucceeded;
    }
    const auto& blows = verdict_.blows;
    if (std::any_of(blows.begin(), blows.end(), [](const Blow& b) { return bool(b.fault); })) {
      return Outcome::kStoppedByFault;
    }
    if (std::any_of(blows.begin(), blows.end(), [](const Blow& b) { return !b.happened; })) {
      return Outcome::kNoOccasion;
    }
    const bool any_table =
        std::any_of(blows.begin(), blows.end(), [](const Blow& b) { return b.on_table; });
    return any_table ? Outcome::kNoEffect : Outcome::kStoppedByAllocator;
  }

  std::optional<std::string> reached() {
    const Goal& goal = scenario_.goal;
    const Pfn page = resolve(goal.page);
    if (goal.kind == Goal::Kind::kChange) {
      if (!changed_.contains(page)) return std::nullopt;
      return fmt::format("a word of the page at {:#x} has changed", address_of(page).value);
    }
    cpu::Core& core = core_of(goal.task);
    // A table that maps a part of the region maps what lies beside it too.
    const VirtAddr start(align_down(place(goal.task, goal.region, 0).value, kPmdSize));
    constexpr std::uint64_t kPages = 20480;  // 80 MB, which are tried
    for (std::uint64_t i = 0; i < kPages; ++i) {
      const VirtAddr va = start + i * kPageSize;
      const std::uint64_t par = mmu::par_of(core.mmu(), mmu::AtOp::kS1E0W, va, false);
      if (mmu::par::kF.get(par) != 0) continue;
      const Pfn frame(mmu::par::kPa.get(par));
      if (frame != page || core.user_access(va, poe::AccessKind::kWrite)) continue;
      return fmt::format("EL0 of '{}' writes {:#x} at its address {:#x} in '{}'", goal.task_name,
                         address_of(frame).value, va.value, goal.region_name);
    }
    return std::nullopt;
  }

  mmu::PhysicalMemory& memory() const { return kernel_->system().machine.memory(); }

  const Scenario& scenario_;
  const std::optional<unsigned> tag_;
  const bool has_key_register_;
  Occasions occasions_;
  mutable std::optional<Kernel> kernel_;
  std::optional<workload::Execution> execution_;
  std::map<std::string, Pfn> pages_;
  std::set<const Strike*> struck_;
  std::map<const Strike*, std::uint64_t> occasions_seen_;
  std::set<Pfn> changed_;
  std::set<std::string> freed_;
  bool striking_ = false, root_forged_ = false;
  Verdict verdict_;
};

std::string_view kind_of(const mmu::Fault& fault) {
  if (fault.stage2) return "stage 2 permission fault";
  if (fault.kind == mmu::FaultKind::kTranslation) return "translation fault";
  if (fault.kind == mmu::FaultKind::kPermission) {
    return fault.overlay ? "overlay fault" : "permission fault";
  }
  return "fault";
}

}  // namespace

Verdict fight(const Scenario& scenario, const cpu::CoreProfile& core,
              const kernel::KernelProfile& profile, const kernel::Config& config) {
  if (!uses_tags(config)) return Battle(scenario, core, profile, config, {}).run();
  // A dangling pointer has the tag of what it pointed to: any of them.
  std::optional<Verdict> out;
  unsigned successes = 0;
  for (unsigned tag = 0; tag < kAttackersTags; ++tag) {
    Verdict one = Battle(scenario, core, profile, config, tag).run();
    const bool success = one.outcome == Outcome::kSucceeded;
    successes += success ? 1 : 0;
    if (!out || (success && out->outcome != Outcome::kSucceeded)) out = std::move(one);
  }
  out->draws = kAttackersTags;
  out->successes = successes;
  return std::move(*out);
}

std::string_view name_of(Outcome outcome) {
  constexpr std::array<std::string_view, 5> kNames = {"stopped", "allocator", "no effect",
                                                      "no occasion", "succeeded"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string text_of(const Verdict& verdict) {
  std::string text;
  switch (verdict.outcome) {
    case Outcome::kStoppedByFault:
      for (const Blow& blow : verdict.blows) {
        if (!blow.fault) continue;
        if (blow.fault.kind == mmu::FaultKind::kTagCheck) return "tag check fault";
        return fmt::format("{}, level {}", kind_of(blow.fault), blow.fault.level);
      }
      return "fault";
    case Outcome::kStoppedByAllocator:
      return "allocator: no table is hit";
    case Outcome::kNoEffect:
      return "no effect";
    case Outcome::kNoOccasion:
      return "no such moment";
    case Outcome::kSucceeded:
      break;
  }
  if (verdict.successes < verdict.draws && verdict.draws > 1) {
    return fmt::format("detected, p = {}/{}", verdict.draws - verdict.successes, verdict.draws);
  }
  return "succeeds";
}

}  // namespace kpksim::attack
