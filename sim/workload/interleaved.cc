#include "sim/workload/interleaved.h"

#include <algorithm>
#include <utility>

namespace kpksim::workload {
namespace {

// The page-table helpers keep in one place what the activity that runs has open, and onlookers what
// it is at.
class OpenWindows final : public cpu::Interleaver::Kept {
 public:
  explicit OpenWindows(kernel::System& system) : system_(system) {}
  void exchange() override {
    system_.tables.exchange(kept_);
    std::swap(system_.taps.innermost, innermost_);
  }

 private:
  kernel::System& system_;
  kernel::PageTables::Activity kept_;
  const kernel::Span* innermost_ = nullptr;
};

}  // namespace

void InterleavedRun::add(const Operation& op) {
  if (OperationOrder::alone(op)) {
    finish();
    execute_(op);
    return;
  }
  order_.add(op);
}

void InterleavedRun::finish() {
  if (order_.size() == 0) return;
  kernel::System& system = kernel_.system();
  ready_at_.assign(order_.size(), 0);
  for (Number n = 0; n < order_.size(); ++n) {
    if (order_.ready(n)) make_ready(n, 0);
  }
  cpu::Interleaver::Source source{[this](unsigned core) { return next(core); },
                                  [&] { return std::make_unique<OpenWindows>(system); },
                                  [&](unsigned core) { system.exposure.runs(core); }};
  if (beside_ != nullptr) {
    source.at_turn = [this](cpu::Core& core) {
      const auto due = beside_->due(core.id());
      if (due && *due <= core.time()) beside_->happen(core);
    };
  }
  interleaver_.run(source);
  order_.forget_operations();
}

// Of a task that is not there the operation says so, wherever.
unsigned InterleavedRun::core_of(const Operation& op) {
  if (OperationOrder::of_kernel(op)) return 0;
  if (op.kind == OpKind::kSpawn) return kernel_.reserve_cpu(op.task);
  const kernel::Task* task = alive(op.task);
  return task != nullptr ? task->cpu : 0;
}

const kernel::Task* InterleavedRun::alive(TaskId id) const {
  const kernel::Task* task = kernel_.tasks().find(id);
  return task == nullptr || task->dead ? nullptr : task;
}

void InterleavedRun::make_ready(Number n, std::uint64_t time) {
  const unsigned core = core_of(order_.operation(n));
  const bool idles = interleaver_.idles(core);
  ready_[core].insert(n);
  ready_at_[n] = std::max(ready_at_[n], time);
  if (idles) return interleaver_.call(core, ready_at_[n]);
  if (const auto other = interleaver_.first_idle()) interleaver_.call(*other, ready_at_[n]);
}

// What could begin now comes in the workload's order, else what can begin first.
std::optional<InterleavedRun::Number> InterleavedRun::choose(unsigned core) const {
  const std::uint64_t now = kernel_.system().machine.core(core).time();
  std::optional<Number> best;
  for (const Number n : ready_[core]) {
    if (ready_at_[n] <= now) return n;
    if (!best || ready_at_[n] < ready_at_[*best]) best = n;
  }
  return best;
}

std::optional<InterleavedRun::Number> InterleavedRun::pull(unsigned core) {
  std::set<Number>* most = nullptr;
  for (unsigned other = 0; other < ready_.size(); ++other) {
    if (interleaver_.idles(other)) continue;  // it is about to do them itself
    if (most == nullptr || ready_[other].size() > most->size()) most = &ready_[other];
  }
  if (most == nullptr) return std::nullopt;
  for (const Number n : *most) {
    const Operation& op = order_.operation(n);
    if (op.kind == OpKind::kSpawn || OperationOrder::of_kernel(op) || !kernel_.alive(op.task)) {
      continue;
    }
    kernel_.pull(op.task, core);
    most->erase(n);
    return n;
  }
  return std::nullopt;
}

std::function<void()> InterleavedRun::next(unsigned core) {
  cpu::Core& on = kernel_.system().machine.core(core);
  const auto due = beside_ == nullptr ? std::nullopt : beside_->due(core);
  if (due && *due <= on.time()) return [this, &on] { beside_->happen(on); };
  std::optional<Number> n = choose(core);
  if (n && due && ready_at_[*n] >= *due) {
    interleaver_.call(core, *due);
    return {};
  }
  if (n) {
    ready_[core].erase(*n);
  } else {
    n = pull(core);
  }
  if (!n) {
    if (due) interleaver_.call(core, *due);
    return {};
  }
  on.wait_until(ready_at_[*n]);
  return [this, n = *n, core] { run(n, core); };
}

// What happens beside the workload sees everything.
bool InterleavedRun::unseen(const Operation& op) const {
  if (beside_ != nullptr || OperationOrder::of_kernel(op)) return false;
  const kernel::Task* task = alive(op.task);
  return task == nullptr || task->mm->users == 1;
}

void InterleavedRun::run(Number n, unsigned core) {
  const Operation& op = order_.operation(n);
  interleaver_.current().set_unseen(unseen(op));
  execute_(op);
  cpu::Core& on = kernel_.system().machine.core(core);
  on.turn();
  const std::uint64_t time = on.time();
  order_.ended(n, [&](Number later) { make_ready(later, time); });
}

}  // namespace kpksim::workload
