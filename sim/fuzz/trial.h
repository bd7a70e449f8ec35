#pragma once
// Runs one program with sanitizer and audit, and says what goes wrong.

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "sim/fuzz/generator.h"
#include "sim/kernel/system.h"
#include "sim/workload/operation.h"

namespace kpksim::fuzz {

// Where programs run: a policy on a core, under a kernel.
struct Place {
  std::shared_ptr<const cpu::CoreProfile> core;
  std::shared_ptr<const kernel::KernelProfile> kernel;
  std::string core_name, kernel_name;  // as the command line takes them
  kernel::Policy policy;
  bool interleave = false;   // its cores may be interleaved
  bool leaves_open = false;  // its design leaves page tables writable: the rule says so always
};

// Everything but policy and program that a run depends on.
struct Machine {
  std::uint64_t memory_bytes = 1ull << 30;
  std::vector<kernel::Injection> injections = {};
};

// Places, and what each of them can do, which is found out when it is first asked for: there may be
// thousands.
class Places {
 public:
  Places(std::vector<Place> places, const Machine& machine)
      : places_(std::move(places)), machine_(machine), state_(places_.size()) {}

  std::size_t size() const { return places_.size(); }
  // Null: no program can run there, as the configuration is refused (a fault that cannot be
  // injected on this core, say). Any thread may call.
  const Place* at(std::size_t i);

 private:
  struct State {
    std::once_flag asked;
    bool usable = false;
  };
  bool prepare(Place& place) const;

  std::vector<Place> places_;
  const Machine machine_;
  std::vector<State> state_;
};

// Reads it as a file is read. InputError: it is no workload. `whole`: by the schema, too.
workload::Workload read(const Program& program, bool whole = false);

struct Failure {
  // What it is, without what differs from one run to the next: rule, kind and what the kernel was
  // doing. Two failures that have the same are taken for the same.
  std::string kind;
  std::string text;
  std::vector<std::string> history = {};
};

// A program of some hundred operations has some hundred thousand events; one that has more than
// this does not end, as far as anybody can wait.
inline constexpr std::uint64_t kMostEvents = 20'000'000;

inline constexpr const char* kNoWorkload = "no workload";

struct Outcome {
  std::vector<Failure> failures;
  std::uint64_t events = 0;  // as the sanitizer counts them
};

struct Effort {
  std::uint64_t most_events = kMostEvents;
  bool whole = false;  // the text is read by the schema, too
};

// That it is no workload (an operation names what is not there), or has not ended by then, is a
// failure too.
Outcome try_program(const Program& program, const Place& place, const Machine& machine,
                    const Effort& effort = {});

bool is_workload(const Program& program);  // by the schema, too

}  // namespace kpksim::fuzz
