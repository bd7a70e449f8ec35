#include "sim/watch/recorder.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "sim/base/error.h"
#include "sim/kernel/pgalloc/allocator.h"

namespace kpksim::watch {

Interval parse_interval(const std::string& option, const std::string& text) {
  Interval interval;
  const char* const end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, interval.length);
  const std::string_view name(unit, static_cast<std::size_t>(end - unit));
  interval.operations = name == "ops";
  const bool known = name.empty() || name == "cycles" || name == "ops";
  if (error != std::errc() || !known || interval.length == 0 ||
      interval.length > ~std::uint64_t{0} / kMillicycles) {
    throw InputError(fmt::format(
        "{}: expected cycles (100000 or 100000cycles) or operations (50ops), found '{}'{}", option,
        text, known ? "" : suggest(std::string(name), {"cycles", "ops"})));
  }
  return interval;
}

Distributions& Distributions::operator+=(const Distributions& other) {
  for (std::size_t i = 0; i < latencies.size(); ++i) latencies[i] += other.latencies[i];
  dropped += other.dropped;
  for (std::size_t i = 0; i < walks.size(); ++i) walks[i] += other.walks[i];
  return *this;
}

class Recorder::Counter final : public Listener {
 public:
  explicit Counter(cpu::Machine& machine) : issued_(machine.core_count()) {
    // Of boot, where an injected fault has left their DSB out.
    for (std::size_t c = 0; c < issued_.size(); ++c) {
      issued_[c].resize(machine.core(c).outstanding_tlbis());
    }
  }

  void ending(const kernel::Span& span, Time /*now*/) override {
    now_.latencies[static_cast<std::size_t>(span.work())].add((span.core().time() - span.begun()) /
                                                              kMillicycles);
  }
  void walked(cpu::Core& /*core*/, unsigned bits, Time /*now*/) override { ++now_.walks[bits]; }
  void tlbi(cpu::Core& core, const mmu::TlbiOp& /*op*/, const cpu::CoreSet* /*only*/,
            Time /*now*/) override {
    issued_[core.id()].push_back({});
  }
  void reaching(cpu::Core& from, cpu::Core& /*on*/, std::size_t which, unsigned dropped,
                Time /*now*/) override {
    std::vector<Issued>& issued = issued_[from.id()];
    const bool at_once = which == cpu::Observer::kAtOnce;
    Issued& one = at_once ? issued.back() : issued[which];
    one.dropped += dropped;
    one.done = true;
    if (at_once) settle(from);
  }
  void barrier(cpu::Core& core, cpu::Barrier barrier, bool after, Time /*now*/) override {
    if (after && barrier != cpu::Barrier::kIsb) settle(core);
  }

  Distributions take() { return std::exchange(now_, {}); }

 private:
  // A TLBI, and what it has dropped on all cores.
  struct Issued {
    std::uint64_t dropped = 0;
    bool done = false;
  };
  void settle(const cpu::Core& core) {
    std::erase_if(issued_[core.id()], [&](const Issued& one) {
      if (one.done) now_.dropped.add(one.dropped);
      return one.done;
    });
  }

  Distributions now_;
  std::vector<std::vector<Issued>> issued_;  // by core, until their DSB
};

class Recorder::Sampler final : public Listener {
 public:
  Sampler(kernel::System& system, const Interval& interval)
      : system_(system), interval_(interval) {}

  void begin_phase(Time now) {
    series_ = {interval_.operations, interval_.length, {}};
    begin_ = now;
    next_ = interval_.operations ? ~Time{0} : now + interval_.length * kMillicycles;
    done_ = 0;
    before_ = read();
    first_busy_ = before_.busy;
  }
  void passing(cpu::Core& /*core*/, Time now) override {
    if (now < next_) return;
    part(now);
    const Time length = interval_.length * kMillicycles;
    next_ += ((now - next_) / length + 1) * length;
  }
  void after_operation(Time now) {
    if (interval_.operations && ++done_ % interval_.length == 0) part(now);
    check();
  }
  Series end_phase(Time now) {
    part(now);
    check();
    next_ = ~Time{0};
    return std::move(series_);
  }

 private:
  struct Reading {
    std::array<std::uint64_t, cpu::kEvents> events{};
    Time busy = 0;
    std::uint64_t page_table_writes = 0;
    kernel::ExposureSums exposure;
  };

  Reading read() {
    Reading now;
    for (std::size_t c = 0; c < system_.machine.core_count(); ++c) {
      cpu::Core& core = system_.machine.core(c);
      for (std::size_t e = 0; e < cpu::kEvents; ++e) {
        now.events[e] += core.happened(static_cast<cpu::Event>(e));
      }
      now.busy += core.time() - core.waited();
    }
    now.page_table_writes = system_.tables.writes();
    // Where cores are interleaved the sums are averages between two readings, and more readings
    // would change them: there the phase has a series of its own.
    if (!system_.machine.interleaved()) now.exposure = system_.exposure.sums();
    return now;
  }

  void part(Time now) {
    if (series_.parts.size() >= kMostParts) {
      too_many_ = true;
      return;
    }
    const Reading reading = read();
    Series::Part part;
    part.cycles = (now - std::min(now, begin_)) / kMillicycles;
    for (std::size_t e = 0; e < cpu::kEvents; ++e) {
      part.events[e] = reading.events[e] - before_.events[e];
    }
    part.busy =
        (reading.busy - first_busy_) / kMillicycles - (before_.busy - first_busy_) / kMillicycles;
    part.page_table_writes = reading.page_table_writes - before_.page_table_writes;
    part.exposure = kernel::exposure_since(before_.exposure, reading.exposure);
    const kernel::AllocatorStatistics allocator = system_.allocator->statistics();
    part.tables = allocator.live;
    part.cached = allocator.cached;
    series_.parts.push_back(part);
    before_ = reading;
  }

  // Not in part(), which is called where nothing can be thrown.
  void check() const {
    if (!too_many_) return;
    throw InputError(
        fmt::format("--interval: a phase has more than {} intervals of {} {}; expected "
                    "a longer interval",
                    kMostParts, interval_.length, interval_.operations ? "operations" : "cycles"));
  }

  kernel::System& system_;
  const Interval interval_;
  Series series_;
  Time begin_ = 0, next_ = ~Time{0}, first_busy_ = 0;
  std::uint64_t done_ = 0;  // operations of the phase
  Reading before_;
  bool too_many_ = false;
};

Recorder::Recorder(kernel::Kernel& kernel, const RecorderOptions& options, TraceFile* file)
    : system_(kernel.system()) {
  std::vector<Listener*> listeners;
  if (options.distributions) {
    counter_ = std::make_unique<Counter>(system_.machine);
    listeners.push_back(counter_.get());
  }
  if (options.interval) {
    sampler_ = std::make_unique<Sampler>(system_, *options.interval);
    listeners.push_back(sampler_.get());
  }
  if (options.timeline) listeners.push_back(&timeline_.emplace(system_, *file, *options.timeline));
  watch_.emplace(system_, std::move(listeners));
}

Recorder::~Recorder() = default;

void Recorder::begin_phase(const std::string& name) {
  const Time now = watch_->latest();
  if (counter_) counter_->take();
  if (sampler_) sampler_->begin_phase(now);
  if (timeline_) timeline_->phase(name, now);
}

void Recorder::after_operation() {
  if (sampler_) sampler_->after_operation(watch_->latest());
}

void Recorder::end_phase() {
  Records& records = phases_.emplace_back();
  if (counter_) records.distributions = counter_->take();
  if (sampler_) records.series = sampler_->end_phase(watch_->latest());
}

void Recorder::strike(cpu::Core& core, std::string_view about) {
  if (timeline_) timeline_->strike(core, about, watch_->now(core));
}

void Recorder::finish() {
  if (timeline_) timeline_->finish(watch_->latest());
}

}  // namespace kpksim::watch
