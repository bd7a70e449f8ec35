#pragma once
// The course of one run of an attack: the workload runs, occasions come, strikes fall, and what the
// tables, registers and TLBs allow at its end is the verdict.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/attack/battle.h"
#include "sim/attack/pages.h"
#include "sim/attack/pending.h"
#include "sim/attack/strokes.h"
#include "sim/attack/struck.h"
#include "sim/workload/interleaved.h"

namespace kpksim::attack {

class Course {
 public:
  struct Draw {
    TagDraw tags;             // how they fall
    std::uint64_t point = 1;  // which occasion it is for a strike that takes turns
    bool has_key_register = false;
  };
  // `scenario` outlives it.
  Course(const Scenario& scenario, const cpu::CoreProfile& core,
         const kernel::KernelProfile& profile, kernel::Config config, const Draw& draw);

  Verdict run();
  void show(Audience& audience);
  bool fell() const { return fell_; }  // the strike that takes turns

 private:
  // The workload, in turns or on cores that run at once (course.cc).
  void phase(const std::vector<workload::Step>& list);
  void steps(const std::vector<workload::Step>& list);
  void execute(const workload::Operation& op);
  void after_phase();

  // Occasions, and who strikes then (course_occasions.cc).
  void watch();
  void watch_classes();
  bool is_for(const kernel::Target& target, const PageRef& page) const;
  std::uint64_t nth(const Strike& strike) const { return strike.each != 0 ? point_ : strike.nth; }
  template <class Fits, class Save>
  void occasion(When when, cpu::Core& core, Fits&& fits, Save&& save);
  template <class Fits>
  void occasion(When when, cpu::Core& core, Fits&& fits);
  void occasion(When when, cpu::Core& core);
  void from(const Strike& strike, cpu::Core& core);
  void from_interrupt(const Strike& strike, cpu::Core& core);
  unsigned other_core(const Strike& strike, const cpu::Core& core);
  void fall(const Pending::Due& due, cpu::Core& core);
  void blow(const Strike& strike, cpu::Core& core);
  void add(Blow met, cpu::Core& core);
  cpu::Core& context(const Strike& strike);
  cpu::Core& core_of(std::uint32_t task);

  // The verdict (course.cc).
  Outcome outcome();
  bool changed();
  bool reached();

  const Scenario& scenario_;
  const std::uint64_t point_;
  const bool has_key_register_;
  Occasions occasions_;
  std::optional<kernel::Kernel> kernel_;
  std::optional<workload::Execution> execution_;
  std::optional<Pages> pages_;
  std::optional<Strokes> strokes_;
  // Where cores run at once.
  workload::OperationOrder order_;
  std::optional<Pending> pending_;
  std::optional<workload::InterleavedRun> interleaved_;
  std::map<const Strike*, std::uint64_t> seen_;    // occasions
  std::map<unsigned, std::optional<Pfn>> marked_;  // by core: what is being marked or unmarked
  // By core, or where cores take turns for all: what a strike itself sets off is no occasion.
  std::map<unsigned, bool> striking_;
  bool& striking(const cpu::Core& core) { return striking_[pending_ ? core.id() : 0]; }
  std::size_t phase_ = 0;
  bool running_ = false, fell_ = false;
  Audience* audience_ = nullptr;
  Verdict verdict_;
};

// A strike or a goal cannot be done: the place is in the message.
class StrikeError : public InputError {
 public:
  using InputError::InputError;
};
// What cannot be done is told with the strike's place.
template <class Do>
void in_place(const std::string& at, Do&& act) {
  try {
    act();
  } catch (const InputError& e) {
    throw StrikeError(at + ": " + e.what());
  }
}

}  // namespace kpksim::attack
