#include "sim/kernel/object/keyed_classes.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/cause.h"

namespace kpksim::kernel {
namespace {

constexpr std::uint64_t kMicro = 1'000'000;

bool writes(pkrs::Rights rights) {
  return (static_cast<unsigned>(rights) & static_cast<unsigned>(pkrs::Rights::kReadWrite)) ==
         static_cast<unsigned>(pkrs::Rights::kReadWrite);
}

}  // namespace

KeyedClasses::KeyedClasses(const ClassPlan& plan, Buddy& buddy, LinearMap& map, PageTables& tables,
                           KeyContexts* contexts, std::uint64_t guard, cpu::Core& boot)
    : plan_(plan),
      map_(map),
      tables_(tables),
      contexts_(contexts),
      guard_(guard),
      pages_(plan.classes.classes.size()),
      memory_(plan.classes.classes.size()),
      keys_(plan.classes.classes.size()),
      unsettled_(plan.classes.classes.size()),
      in_use_(plan.classes.classes.size()),
      by_trigger_(kTriggers.size()),
      nested_(plan.classes.contexts.size()),
      uses_(plan.classes.contexts.size()),
      unneeded_(plan.classes.contexts.size()) {
  const Classes& all = plan_.classes;
  for (std::size_t i = 0; i < all.classes.size(); ++i) {
    if (all.classes[i].model != ClassModel::kObjects) continue;
    pages_[i] = std::make_unique<ClassPages>(buddy, all.classes[i]);
    memory_[i] = pages_[i].get();
  }
  if (const auto cred = all.class_of(ClassModel::kCred)) {
    cred_ = *cred;
    cred_context_ = all.context_of(ClassModel::kCred);
    slabs_ =
        std::make_unique<ClassSlabs>(buddy, contexts == nullptr ? nullptr : &map, keys_[cred_]);
    memory_[cred_] = slabs_.get();
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
  // Constants of virtual keys depend on who has which key.
  for (std::size_t i = 0; !a.virtualised && i < all.contexts.size(); ++i) {
    constants_.push_back(plan_.in_context(i, keys_));
  }
}

void KeyedClasses::booted(cpu::Machine& machine) {
  statistics_ = {};
  std::fill(uses_.begin(), uses_.end(), Use{});
  if (contexts_ == nullptr) return;
  in_force_.resize(machine.core_count());
  contexts_->set_watcher(*this);
}

const ClassPages& KeyedClasses::pages(std::size_t of) const {
  if (!pages_[of]) throw ModelError("a class of the full model has no pages of its own");
  return *pages_[of];
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
void KeyedClasses::switched(cpu::Core& core, std::size_t to, bool entered) {
  InForce& force = in_force_[core.id()];
  if (force.context == kNobody && to == kNobody) return;
  const std::uint64_t now = core.time();
  if (entered && to == 0 && force.context != 0) ++uses_[0].entries;
  if (force.context != kNobody) {
    Use& use = uses_[force.context];
    use.millicycles += now - force.since;
    use.over += pkrs::Cost{now - force.since} * unneeded_bytes(force.context);
  }
  force = {to, now};
}

std::uint64_t KeyedClasses::set_register(cpu::Core& core, const pkrs::KeyRegister& value,
                                         std::size_t to) {
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  const std::uint64_t before = contexts_->enter_context(core, value, to);
  statistics_.switches += core.happened(cpu::Event::kMsrPor) - written;
  return before;
}

void KeyedClasses::put_back(cpu::Core& core, std::uint64_t before) {
  const std::uint64_t written = core.happened(cpu::Event::kMsrPor);
  contexts_->leave(core, before);
  statistics_.switches += core.happened(cpu::Event::kMsrPor) - written;
}

// Its classes are in use from the begin on: who interrupts their bringing-in takes no key of
// theirs.
std::uint64_t KeyedClasses::open(cpu::Core& core, std::size_t context) {
  const ClassContext& c = plan_.classes.contexts[context];
  for (const std::vector<std::size_t>* list : {&c.writes, &c.reads}) {
    for (const std::size_t i : *list) ++in_use_[i];
  }
  const bool moves = plan_.assignment.virtualised;
  if (moves) bring(core, context);
  return set_register(core, moves ? plan_.in_context(context, keys_) : constants_[context],
                      context);
}

void KeyedClasses::close(cpu::Core& core, std::size_t context, std::uint64_t before) {
  const ClassContext& c = plan_.classes.contexts[context];
  for (const std::vector<std::size_t>* list : {&c.writes, &c.reads}) {
    for (const std::size_t i : *list) --in_use_[i];
  }
  put_back(core, before);
}

void KeyedClasses::enter(cpu::Core& core, std::size_t context) {
  ++statistics_.entries;
  ++uses_[context].entries;
  if (contexts_ == nullptr) return work(core, context);
  const std::uint64_t before = open(core, context);
  work(core, context);
  close(core, context, before);
  core.execute_guard(guard_);
}

std::uint64_t KeyedClasses::enter_section(cpu::Core& core) {
  ++statistics_.entries;
  ++uses_[cred_context_].entries;
  const std::uint64_t before = contexts_ != nullptr ? open(core, cred_context_) : 0;
  if (hook_) hook_(core, cred_context_);
  return before;
}

void KeyedClasses::CredSections::leave(cpu::Core& core, std::uint64_t before) {
  if (keyed()) classes_.close(core, classes_.cred_context_, before);
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
  if (contexts_ != nullptr) put_back(core, stopped);
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

void KeyedClasses::key_anew(cpu::Core& core, std::size_t of) {
  memory_[of]->set_key(core, map_, keys_[of]);
  statistics_.keyed_pages += memory_[of]->pages();
}

// Of those that are free or whose class is not in use, the one used longest ago.
unsigned KeyedClasses::choose_key(std::size_t context, std::size_t of) const {
  const pkrs::Assignment& a = plan_.assignment;
  const bool secret = plan_.classes.classes[of].secret;
  const unsigned first = secret ? a.first_secret.value : a.first_free.value;
  const unsigned end = secret ? a.budget : a.first_secret.value;
  unsigned least = end;
  for (unsigned k = first; k < end; ++k) {
    if (holder_[k] != kNobody && in_use_[holder_[k]] != 0) continue;
    if (least == end || used_at_[k] < used_at_[least]) least = k;
  }
  if (least != end) return least;
  throw InputError(
      fmt::format("context '{}' finds no key for '{}': the contexts around it "
                  "hold them all (a larger budget has more)",
                  plan_.classes.contexts[context].name, plan_.classes.classes[of].name));
}

// Whose key is whose changes at once, before any page is keyed: what comes in between sees it.
void KeyedClasses::give_key(std::size_t of, unsigned key) {
  const std::size_t loser = std::exchange(holder_[key], of);
  if (loser != kNobody) {
    keys_[loser] = parked_key(loser);
    ++statistics_.evictions;
  }
  keys_[of] = PkeyIndex(static_cast<std::uint8_t>(key));
  ++statistics_.brought;
  unsettled_[of] = {true, loser};
  std::fill(unneeded_.begin(), unneeded_.end(), std::nullopt);
}

// Who lost the key is parked first, so that at no time two classes have it.
void KeyedClasses::settle(cpu::Core& core, std::size_t of, bool section) {
  if (!unsettled_[of].is) return;
  // A callback of RCU may have interrupted a lazy MMU section, and they do not nest.
  std::optional<InterruptContext> apart;
  if (section) apart.emplace(tables_);
  if (const std::size_t loser = unsettled_[of].loser; loser != kNobody) key_anew(core, loser);
  key_anew(core, of);
  unsettled_[of] = {};
}

void KeyedClasses::bring(cpu::Core& core, std::size_t context) {
  const ClassContext& c = plan_.classes.contexts[context];
  ++clock_;
  std::vector<std::size_t> needs = c.writes;
  needs.insert(needs.end(), c.reads.begin(), c.reads.end());
  std::sort(needs.begin(), needs.end());
  for (const std::size_t of : needs) {
    if (keys_[of] == parked_key(of)) give_key(of, choose_key(context, of));
    used_at_[keys_[of].value] = clock_;
    settle(core, of, context == cred_context_);
  }
}

// From the register's constant, not from the plan: what a context can do is what it says.
const std::vector<std::size_t>& KeyedClasses::unneeded(std::size_t context) const {
  std::optional<std::vector<std::size_t>>& known = unneeded_[context];
  if (known) return *known;
  known.emplace();
  const ClassContext& c = plan_.classes.contexts[context];
  const pkrs::KeyRegister value =
      plan_.assignment.virtualised ? plan_.in_context(context, keys_) : constants_[context];
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const pkrs::Rights rights = value.rights(keys_[i]);
    const bool uses = std::find(c.writes.begin(), c.writes.end(), i) != c.writes.end() ||
                      std::find(c.reads.begin(), c.reads.end(), i) != c.reads.end();
    const bool can =
        plan_.classes.classes[i].secret ? rights != pkrs::Rights::kNone : writes(rights);
    if (can && !uses) known->push_back(i);
  }
  return *known;
}

std::uint64_t KeyedClasses::unneeded_bytes(std::size_t context) const {
  if (contexts_ == nullptr) return 0;
  std::uint64_t bytes = 0;
  for (const std::size_t i : unneeded(context)) {
    bytes += memory_[i] != nullptr ? memory_[i]->bytes() : table_bytes_();
  }
  return bytes;
}

}  // namespace kpksim::kernel
