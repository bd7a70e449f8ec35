#include "sim/cpu/interleaver.h"

#include <algorithm>

#include "sim/base/error.h"

namespace kpksim::cpu {

Interleaver::Strand::Strand(Interleaver& owner, std::unique_ptr<Kept> kept)
    : kept_(std::move(kept)), fiber_([this, &owner] { owner.body(*this); }) {}

Interleaver::Interleaver(Machine& machine) : machine_(machine), cores_(machine.core_count()) {
  machine.set_turns(this);
  for (unsigned core = 0; core < cores_.size(); ++core) idle_.add(core);
}

Interleaver::~Interleaver() {
  for (const auto& strand : strands_) {
    strand->ends_ = true;
    strand->fiber_.resume();
  }
  machine_.set_turns(nullptr);
}

// A strand is used again for the next job: a stack costs more than most jobs.
void Interleaver::body(Strand& strand) {
  while (!strand.ends_) {
    try {
      strand.job_();
    } catch (...) {
      failure_ = std::current_exception();
    }
    strand.state_ = Strand::State::kEnded;
    strand.fiber_.suspend();
  }
}

Interleaver::Strand& Interleaver::unused_strand() {
  if (unused_.empty()) {
    strands_.push_back(std::make_unique<Strand>(*this, source_->keep()));
    return *strands_.back();
  }
  Strand& strand = *unused_.back();
  unused_.pop_back();
  return strand;
}

void Interleaver::run(const Source& source) {
  source_ = &source;
  meet();
  for (unsigned core = 0; core < cores_.size(); ++core) call(core, 0);
  while (!queue_.empty() && !failure_) {
    std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
    const Place place = queue_.back();
    queue_.pop_back();
    cores_[place.core].queued = false;
    // An interrupt from another core has moved its clock since.
    if (machine_.core(place.core).time() > place.time) {
      queue(place.core);
    } else {
      go_on(place.core);
    }
  }
  source_ = nullptr;
  meet();
  if (failure_) {
    abandon();
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  if (busy_ == 0) return;
  abandon();
  throw ModelError("cores that wait for each other, and none that could go on");
}

void Interleaver::meet() {
  std::uint64_t last = 0;
  for (unsigned core = 0; core < cores_.size(); ++core) {
    last = std::max(last, machine_.core(core).time());
  }
  for (unsigned core = 0; core < cores_.size(); ++core) machine_.core(core).wait_until(last);
}

void Interleaver::queue(unsigned core) {
  CoreState& state = cores_[core];
  if (state.queued) return;
  state.queued = true;
  idle_.remove(core);
  const Place place{machine_.core(core).time(), state.lets_pass, core};
  queue_.push_back(place);
  std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
  horizon_ = std::min(horizon_, place);
}

void Interleaver::call(unsigned core, std::uint64_t time) {
  CoreState& state = cores_[core];
  if (state.strand != nullptr || state.queued) return;
  machine_.core(core).wait_until(time);
  queue(core);
}

// Who was woken comes first: others wait for what it holds.
bool Interleaver::assign(unsigned core) {
  CoreState& state = cores_[core];
  Core& on = machine_.core(core);
  if (!state.woken.empty()) {
    state.strand = state.woken.front();
    state.woken.pop_front();
    on.wait_until(state.strand->woken_at_);
    on.continue_for(state.strand->cause_);
    on.continue_at(state.strand->level_);
  } else {
    std::function<void()> job = source_->next(core);
    if (!job) return false;
    state.strand = &unused_strand();
    state.strand->job_ = std::move(job);
    state.strand->unseen_ = false;
    state.strand->core_ = core;
    ++busy_;
  }
  state.strand->state_ = Strand::State::kRuns;
  return true;
}

// The core runs a strand until it is left: because another core is earlier, or as it has to wait,
// or at its end.
void Interleaver::go_on(unsigned core) {
  CoreState& state = cores_[core];
  state.lets_pass = false;
  if (state.strand == nullptr && !assign(core)) {
    if (!state.queued) idle_.add(core);
    return;
  }
  Strand& strand = *state.strand;
  current_ = &strand;
  horizon_ = queue_.empty() ? Place() : queue_.front();
  ++changes_;
  source_->goes_on(core);
  strand.kept_->exchange();
  strand.fiber_.resume();
  strand.kept_->exchange();
  current_ = nullptr;
  switch (strand.state_) {
    case Strand::State::kSpins:
      return;
    case Strand::State::kSleeps:
      put_to_sleep(strand);
      return;
    case Strand::State::kEnded:
      --busy_;
      unused_.push_back(&strand);
      state.strand = nullptr;
      break;
    case Strand::State::kRuns:
      break;
  }
  queue(core);
}

void Interleaver::put_to_sleep(Strand& strand) {
  Core& core = machine_.core(strand.core_);
  strand.state_ = Strand::State::kSleeps;
  strand.slept_ = true;
  strand.cause_ = core.cause();
  strand.level_ = core.level();
  cores_[strand.core_].strand = nullptr;
  queue(strand.core_);
}

void Interleaver::turn(Core& core, Seen by) {
  if (current_ == nullptr || alone_ != 0 || current_->core_ != core.id()) return;
  const std::uint64_t ahead = by == Seen::kByAddressSpace && current_->unseen_ ? kAhead : 0;
  const Place here{core.time(), cores_[core.id()].lets_pass, core.id()};
  const bool behind = horizon_ == Place() || here < horizon_;
  if (!behind && here.time - horizon_.time >= ahead && running()) leave();
  if (source_->at_turn && running()) source_->at_turn(core);
}

void Interleaver::let_pass(Core& core) {
  cores_[core.id()].lets_pass = true;
  turn(core, Seen::kByAll);
  cores_[core.id()].lets_pass = false;
}

void Interleaver::fail(std::exception_ptr failure) {
  failure_ = std::move(failure);
  leave();
  throw ModelError("a strand that has failed goes on");
}

void Interleaver::leave() { current_->fiber_.suspend(); }

bool Interleaver::spin() {
  Strand& strand = *current_;
  strand.state_ = Strand::State::kSpins;
  strand.slept_ = false;
  leave();
  return strand.slept_;
}

void Interleaver::sleep() {
  current_->state_ = Strand::State::kSleeps;
  leave();
}

void Interleaver::wake(Strand& strand, std::uint64_t time) {
  CoreState& state = cores_[strand.core_];
  if (strand.state_ == Strand::State::kSpins) {
    strand.state_ = Strand::State::kRuns;
    machine_.core(strand.core_).wait_until(time);
    return queue(strand.core_);
  }
  strand.woken_at_ = time;
  state.woken.push_back(&strand);
  call(strand.core_, time);
}

void Interleaver::abandon() {
  strands_.clear();
  unused_.clear();
  busy_ = 0;
  queue_.clear();
  for (unsigned core = 0; core < cores_.size(); ++core) {
    cores_[core] = {};
    idle_.add(core);
  }
}

}  // namespace kpksim::cpu
