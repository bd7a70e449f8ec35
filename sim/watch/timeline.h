#pragma once
// A run as a picture over time: what each core is at, its windows, its TLBIs and whom they reach.
// Memory does not grow with the run. docs/timeline.md says what is drawn where.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/kernel/system.h"
#include "sim/watch/listener.h"
#include "sim/watch/trace_file.h"

namespace kpksim::watch {

// What is drawn of a run: cycles since its beginning. What is under way at either end is cut there.
struct TimelineWindow {
  std::uint64_t from = 0, to = std::numeric_limits<std::uint64_t>::max();
};
// "A..B", "A.." or "..B", in cycles. InputError, which names `option`: it is not that, or empty.
TimelineWindow parse_window(const std::string& option, const std::string& text);

class Timeline final : public Listener {
 public:
  // Both outlive this.
  Timeline(kernel::System& system, TraceFile& file, const TimelineWindow& window);

  void begun(const kernel::Span& span, Time now) override;
  void ending(const kernel::Span& span, Time now) override;
  void window(cpu::Core& core, bool opened, Time now) override;
  void barrier(cpu::Core& core, cpu::Barrier barrier, bool after, Time now) override;
  void tlbi(cpu::Core& core, const mmu::TlbiOp& op, const cpu::CoreSet* only, Time now) override;
  void reaching(cpu::Core& from, cpu::Core& on, std::size_t which, unsigned dropped,
                Time now) override;
  void faulted(cpu::Core& core, const mmu::Fault& fault, Time now) override;
  void interrupting(cpu::Core& from, cpu::Core& to, Time now) override;
  void interrupted(cpu::Core& from, cpu::Core& to, Time now) override;

  // A mark across all tracks: a phase of the workload begins.
  void phase(const std::string& name, Time now);
  // An attack's strike on this core, and what it met. `about`: a JSON object.
  void strike(cpu::Core& core, std::string_view about, Time now);
  // The run ends `now`: what is open ends there, and so does the file.
  void finish(Time now);

 private:
  using Nanoseconds = TraceFile::Nanoseconds;

  // What is drawn as open on a core's main track: a span, by its number; or below all spans, number
  // 0, an interrupt from another core.
  struct Open {
    std::uint64_t number;
    kernel::Work work;
    unsigned from = 0;
  };
  // A TLBI that no DSB has completed. Its arrow to core c has the number first_arrow + c.
  struct Pending {
    std::uint64_t first_arrow = 0;
    bool drawn = false, done = false;
    cpu::CoreSet to;  // whom an arrow is under way to
  };
  // What the DSB that is being executed has brought to one core.
  struct Arrived {
    std::vector<std::uint64_t> arrows;
    unsigned tlbis = 0, dropped = 0;
  };
  struct CoreState {
    std::vector<Open> open;
    bool entered = false, left = false;              // the part of time that is drawn
    Nanoseconds main = 0, windows = 0, reached = 0;  // up to where its tracks are drawn
    Time window_from = 0, barrier_from = 0;
    bool in_window = false;
    std::vector<Pending> pending;
    std::uint64_t tlb_entries = ~0ull, writable = ~0ull;  // as drawn last
  };

  static TraceFile::Track main_of(const cpu::Core& core) { return core.id() * 3 + 1; }
  static TraceFile::Track windows_of(const cpu::Core& core) { return core.id() * 3 + 2; }
  static TraceFile::Track reached_of(const cpu::Core& core) { return core.id() * 3 + 3; }
  Nanoseconds at(Time time) const { return time / millicycles_; }
  bool inside(Time time) const { return time >= from_ && time < to_; }
  CoreState& of(const cpu::Core& core) { return cores_[core.id()]; }
  // Enters and leaves the part that is drawn. True: `now` lies in it.
  bool moves_to(cpu::Core& core, Time now);
  // The main track shows what the activity that runs is at, and nothing else.
  void follow(cpu::Core& core, Time now);
  void open_slice(cpu::Core& core, const Open& span, Time now, bool goes_on);
  void close_slice(cpu::Core& core, Time now, std::string_view args = {});
  // A slice of what is over, cut to the part that is drawn. False: nothing of it lies there.
  bool draw(TraceFile::Track track, Nanoseconds& drawn, std::string_view name, Time from, Time to,
            std::string_view args = {});
  std::uint64_t price(cpu::Event event) const;
  void arrive(cpu::Core& from, Time now);
  void never_complete(cpu::Core& core, Time now);
  void counters(cpu::Core& core, Time now);
  void machine_counter(std::string_view name, std::uint64_t& drawn, std::uint64_t value, Time now);
  void writable_counter(cpu::Core& core, Time now);

  kernel::System& system_;
  TraceFile& file_;
  const std::uint64_t millicycles_;  // of a nanosecond
  const Time from_, to_;
  std::vector<CoreState> cores_;
  std::vector<Arrived> arrived_;  // by core
  std::uint64_t next_arrow_ = 1;
  Nanoseconds machine_ = 0;  // up to where its counters are drawn
  std::uint64_t cached_ = ~0ull, tables_ = ~0ull;
};

}  // namespace kpksim::watch
