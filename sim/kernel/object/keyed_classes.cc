#include "sim/kernel/object/keyed_classes.h"

#include <fmt/core.h>

#include <algorithm>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kMicro = 1'000'000;

std::uint64_t time_of(const cpu::Core& core) {
  const cpu::Core::Elapsed e = core.elapsed();
  return e.rest + e.open;
}

bool writes(pkrs::Rights rights) {
  return (static_cast<unsigned>(rights) & static_cast<unsigned>(pkrs::Rights::kReadWrite)) ==
         static_cast<unsigned>(pkrs::Rights::kReadWrite);
}

}  // namespace

KeyedClasses::KeyedClasses(const ClassPlan& plan, Buddy& buddy, LinearMap& map,
                           KeyContexts* contexts, std::uint64_t guard, cpu::Core& boot)
    : plan_(plan),
      map_(map),
      contexts_(contexts),
      guard_(guard),
      keys_(plan.classes.classes.size()),
      in_use_(plan.classes.classes.size()),
      by_trigger_(kTriggers.size()),
      nested_(plan.classes.contexts.size()),
      uses_(plan.classes.contexts.size()) {
  const Classes& all = plan_.classes;
  pages_.reserve(all.classes.size());
  for (const ProtectedClass& c : all.classes) {
    pages_.push_back(c.page_tables ? nullptr : std::make_unique<ClassPages>(buddy, c));
  }
  for (std::size_t i = 0; i < all.contexts.size(); ++i) {
    const ClassContext& c = all.contexts[i];
    if (c.inside != ClassContext::kNowhere) nested_[c.inside].push_back(i);
    for (std::size_t t = 0; t < kTriggers.size(); ++t) {
      if (c.micro_entries[t] != 0) by_trigger_[t].push_back(i);
    }
  }
  micros_.resize(all.contexts.size() * kTriggers.size());
  if (contexts_ == nullptr) return;
  const pkrs::Assignment& a = plan_.assignment;
  keys_ = a.key;
  holder_.assign(a.budget, kNobody);
  used_at_.resize(a.budget);
  {
    const Because because(boot, Cause::kBoot);
    for (std::size_t i = 0; i < pages_.size(); ++i) {
      if (pages_[i]) pages_[i]->set_key(boot, map_, keys_[i]);
    }
  }
  windows_at_boot_ = boot.elapsed().open;
  if (a.virtualised) return;  // constants depend on who has which key
  constants_.reserve(all.contexts.size());
  for (std::size_t i = 0; i < all.contexts.size(); ++i) {
    constants_.push_back(plan_.in_context(i, keys_));
  }
}

void KeyedClasses::use(cpu::Core& core, Trigger trigger) {
  const auto t = static_cast<std::size_t>(trigger);
  for (const std::size_t i : by_trigger_[t]) {
    std::uint64_t& rest = micros_[i * kTriggers.size() + t];
    for (rest += plan_.classes.contexts[i].micro_entries[t]; rest >= kMicro; rest -= kMicro) {
      enter(core, i);
    }
  }
}

// What has passed since the last switch belongs to the context whose value was in force: from the
// ISB after the write that gave it its rights to the ISB after the one that took them.
void KeyedClasses::switched(const cpu::Core& core, std::size_t to) {
  const std::uint64_t now = time_of(core);
  if (in_force_ != kNobody) {
    Use& use = uses_[in_force_];
    use.millicycles += now - since_;
    use.over += pkrs::Cost{now - since_} * unneeded_bytes(in_force_);
  }
  since_ = now;
  in_force_ = to;
}

std::uint64_t KeyedClasses::set_register(cpu::Core& core, const pkrs::KeyRegister& value,
                                         std::size_t to) {
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  const std::uint64_t before = contexts_->enter_context(core, value);
  statistics_.switches += core.happened(cpu::Event::kMsrPor) - written;
  switched(core, to);
  return before;
}

void KeyedClasses::put_back(cpu::Core& core, std::uint64_t before, std::size_t to) {
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  contexts_->leave(core, before);
  statistics_.switches += core.happened(cpu::Event::kMsrPor) - written;
  switched(core, to);
}

void KeyedClasses::enter(cpu::Core& core, std::size_t context) {
  const ClassContext& c = plan_.classes.contexts[context];
  ++statistics_.entries;
  ++uses_[context].entries;
  if (contexts_ == nullptr) return work(core, context);
  const std::size_t outer = in_force_;
  const bool moves = plan_.assignment.virtualised;
  if (moves) bring(core, context);
  const std::uint64_t before =
      set_register(core, moves ? plan_.in_context(context, keys_) : constants_[context], context);
  for (const std::vector<std::size_t>* list : {&c.writes, &c.reads}) {
    for (const std::size_t i : *list) ++in_use_[i];
  }
  work(core, context);
  for (const std::vector<std::size_t>* list : {&c.writes, &c.reads}) {
    for (const std::size_t i : *list) --in_use_[i];
  }
  put_back(core, before, outer);
  core.execute_guard(guard_);
}

void KeyedClasses::work(cpu::Core& core, std::size_t context) {
  const ClassContext& c = plan_.classes.contexts[context];
  access(core, context);
  for (const std::size_t inner : nested_[context]) enter(core, inner);
  if (c.sleeps == 0 || uses_[context].entries % c.sleeps != 0) return;
  ++statistics_.sleeps;
  std::uint64_t stopped = 0;
  if (contexts_ != nullptr) stopped = set_register(core, contexts_->at_rest(), kNobody);
  if (sleep_) sleep_(core);
  if (sleep_hook_) {
    sleep_hook_(core, context, contexts_ != nullptr ? &contexts_->saved(core) : nullptr);
  }
  if (contexts_ != nullptr) put_back(core, stopped, context);
  access(core, context);
}

// The accesses that the context is for: each must be allowed, or the kernel dies of it.
void KeyedClasses::access(cpu::Core& core, std::size_t context) {
  const ClassContext& c = plan_.classes.contexts[context];
  const auto word_of = [&](std::size_t of) {
    return linear_va(pages_[of]->word(random_() % pages_[of]->words()));
  };
  for (const std::size_t of : c.reads) {
    for (std::uint64_t i = 0; i < c.loads; ++i) {
      const VirtAddr va = word_of(of);
      if (const cpu::LoadResult found = core.load64(va); found.fault) {
        throw KernelOops(fmt::format("load of '{}' at {:#x} refused in context '{}'",
                                     plan_.classes.classes[of].name, va.value, c.name),
                         found.fault);
      }
      ++statistics_.loads;
    }
  }
  for (const std::size_t of : c.writes) {
    for (std::uint64_t i = 0; i < c.stores; ++i) {
      const VirtAddr va = word_of(of);
      if (const mmu::Fault fault = core.store64(va, statistics_.stores)) {
        throw KernelOops(fmt::format("store to '{}' at {:#x} refused in context '{}'",
                                     plan_.classes.classes[of].name, va.value, c.name),
                         fault);
      }
      ++statistics_.stores;
    }
  }
  core.execute(c.instructions);
  if (hook_) hook_(core, context);
}

PkeyIndex KeyedClasses::parked_key(std::size_t of) const {
  return plan_.classes.classes[of].secret ? plan_.assignment.parked_secret
                                          : plan_.assignment.parked;
}

void KeyedClasses::give_key(cpu::Core& core, std::size_t of, PkeyIndex key) {
  pages_[of]->set_key(core, map_, key);
  statistics_.keyed_pages += pages_[of]->pages();
  keys_[of] = key;
}

void KeyedClasses::bring(cpu::Core& core, std::size_t context) {
  const ClassContext& c = plan_.classes.contexts[context];
  const pkrs::Assignment& a = plan_.assignment;
  ++clock_;
  const auto needs = [&](std::size_t of) {
    return std::find(c.writes.begin(), c.writes.end(), of) != c.writes.end() ||
           std::find(c.reads.begin(), c.reads.end(), of) != c.reads.end();
  };
  for (std::size_t of = 0; of < keys_.size(); ++of) {
    if (!needs(of)) continue;
    const bool resident = keys_[of] != parked_key(of);
    if (resident) {
      used_at_[keys_[of].value] = clock_;
      continue;
    }
    const bool secret = plan_.classes.classes[of].secret;
    const unsigned first = secret ? a.first_secret.value : a.first_free.value;
    const unsigned end = secret ? a.budget : a.first_secret.value;
    unsigned least = end;
    for (unsigned k = first; k < end; ++k) {
      const std::size_t holder = holder_[k];
      if (holder != kNobody && (needs(holder) || in_use_[holder] != 0)) continue;
      if (least == end || used_at_[k] < used_at_[least]) least = k;
    }
    if (least == end) {
      throw InputError(
          fmt::format("context '{}' finds no key for '{}': the contexts around it "
                      "hold them all (a larger budget has more)",
                      c.name, plan_.classes.classes[of].name));
    }
    if (const std::size_t holder = holder_[least]; holder != kNobody) {
      give_key(core, holder, parked_key(holder));
      ++statistics_.evictions;
    }
    give_key(core, of, PkeyIndex(static_cast<std::uint8_t>(least)));
    ++statistics_.brought;
    holder_[least] = of;
    used_at_[least] = clock_;
  }
}

std::vector<KeyedClasses::Use> KeyedClasses::uses(cpu::Machine& machine) const {
  std::vector<Use> out = uses_;
  if (contexts_ == nullptr) return out;
  for (std::size_t i = 0; i < machine.core_count(); ++i) {
    out[0].millicycles += machine.core(i).elapsed().open;
  }
  out[0].millicycles -= windows_at_boot_;
  out[0].entries = 0;
  for (std::size_t i = 0; i < machine.core_count(); ++i) {
    out[0].entries += machine.core(i).windows().count;
  }
  out[0].over = pkrs::Cost{out[0].millicycles} * unneeded_bytes(0);
  return out;
}

// From the register's constant, not from the plan: what a context can do is what it says.
std::uint64_t KeyedClasses::unneeded_bytes(std::size_t context) const {
  if (contexts_ == nullptr) return 0;
  const ClassContext& c = plan_.classes.contexts[context];
  const pkrs::KeyRegister& value =
      plan_.assignment.virtualised ? plan_.in_context(context, keys_) : constants_[context];
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const ProtectedClass& of = plan_.classes.classes[i];
    const pkrs::Rights rights = value.rights(keys_[i]);
    const bool uses = std::find(c.writes.begin(), c.writes.end(), i) != c.writes.end() ||
                      std::find(c.reads.begin(), c.reads.end(), i) != c.reads.end();
    const bool can = of.secret ? rights != pkrs::Rights::kNone : writes(rights);
    if (can && !uses) bytes += of.page_tables ? table_bytes_() : of.bytes();
  }
  return bytes;
}

}  // namespace kpksim::kernel
