#include "sim/kernel/protect/key_contexts.h"

#include "sim/base/error.h"

namespace kpksim::kernel {

KeyContexts::KeyContexts(const ProtectionContext& context, const ClassPlan& plan)
    : KeyedTables(context),
      registers_(pkrs::registers_for(plan.assignment.budget)),
      index_bits_(pkrs::index_bits_for(plan.assignment.budget)),
      rest_(plan.at_rest()),
      tables_(plan.in_context(0, plan.assignment.key)),
      saved_(context.machine.core_count()) {
  if (plan.assignment.key[0] != kPkeyPgtables) throw ModelError("page tables have another key");
}

void KeyContexts::boot(mmu::Registers& regs) const {
  regs.tcr2 = mmu::tcr2::kPoe.set(regs.tcr2, 1);
  regs.index_bits = index_bits_;
  regs.por_el1 = rest_.word(0);
  for (std::size_t i = 0; i < regs.more_por_el1.size(); ++i) {
    regs.more_por_el1[i] = rest_.word(i + 1);
  }
}

std::uint64_t KeyContexts::window_bits() const {
  return ~pkrs::Context(~0ull).with(kPkeyPgtables, pkrs::Rights::kNone).por();
}

pkrs::KeyRegister KeyContexts::read(cpu::Core& core) const {
  pkrs::KeyRegister out(core.mrs_por_el1());
  for (std::size_t i = 1; i < registers_; ++i) out.set_word(i, core.mrs_more_por_el1(i - 1));
  return out;
}

bool KeyContexts::write(cpu::Core& core, const pkrs::KeyRegister& before,
                        const pkrs::KeyRegister& value) const {
  bool any = false;
  for (std::size_t i = 0; i < registers_; ++i) {
    if (before.word(i) == value.word(i)) continue;
    any = true;
    if (i == 0) {
      core.msr_por_el1(value.word(0));
    } else {
      core.msr_more_por_el1(i - 1, value.word(i));
    }
  }
  return any;
}

void KeyContexts::tell(cpu::Core& core, bool entered) const {
  if (watcher_ == nullptr) return;
  const std::vector<Saved>& saved = saved_[core.id()];
  watcher_->switched(core, saved.empty() ? kAtRest : saved.back().context, entered);
}

std::uint64_t KeyContexts::push(cpu::Core& core, const pkrs::KeyRegister& value,
                                std::size_t context) {
  const pkrs::KeyRegister before = read(core);
  if (write(core, before, value)) core.isb();
  saved_[core.id()].push_back({before, value, context});
  tell(core, true);
  return saved_[core.id()].size();
}

void KeyContexts::close(cpu::Core& core, const Target&, std::uint64_t before, bool synchronised) {
  std::vector<Saved>& saved = saved_[core.id()];
  if (before != saved.size()) throw ModelError("sections of keys end in another order");
  const Saved section = saved.back();
  saved.pop_back();
  // A section knows its own constant, and so whether it has changed anything.
  if (write(core, section.now, section.before) && !synchronised) core.isb();
  tell(core, false);
}

}  // namespace kpksim::kernel
