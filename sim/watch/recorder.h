#pragma once
// Records a run: into a timeline, and into what its document has beside the counters. The driver of
// the workload says where its phases and operations end.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/kernel/kernel.h"
#include "sim/watch/records.h"
#include "sim/watch/timeline.h"
#include "sim/watch/watch.h"

namespace kpksim::watch {

struct Interval {
  std::uint64_t length = 0;
  bool operations = false;  // else cycles
};
// "100000", "100000cycles" or "50ops". InputError, which names `option`.
Interval parse_interval(const std::string& option, const std::string& text);

struct RecorderOptions {
  std::optional<TimelineWindow> timeline;
  std::optional<Interval> interval;
  bool distributions = false;
};

class Recorder {
 public:
  // More parts than anybody looks at are a mistake in the interval.
  static constexpr std::size_t kMostParts = 1 << 16;

  // `file`: of the timeline, if there is one. All outlive this.
  Recorder(kernel::Kernel& kernel, const RecorderOptions& options, TraceFile* file);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void begin_phase(const std::string& name);
  // InputError: the phase had too many intervals.
  void after_operation();
  void end_phase();
  // An attack's strike, for the timeline. `about`: a JSON object.
  void strike(cpu::Core& core, std::string_view about);
  // The run is over: the timeline ends.
  void finish();

  const std::vector<Records>& phases() const { return phases_; }

 private:
  class Counter;  // fills distributions
  class Sampler;  // fills series

  kernel::System& system_;
  std::vector<Records> phases_;
  std::unique_ptr<Counter> counter_;
  std::unique_ptr<Sampler> sampler_;
  std::optional<Timeline> timeline_;
  std::optional<Watch> watch_;
};

}  // namespace kpksim::watch
