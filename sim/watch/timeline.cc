#include "sim/watch/timeline.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/base/error.h"
#include "sim/base/json_text.h"
#include "sim/kernel/pgalloc/allocator.h"
#include "sim/watch/watch.h"

namespace kpksim::watch {

using kernel::Span;

namespace {

std::string slice_name(kernel::Work work, unsigned from, std::uint64_t number) {
  return number == 0 ? fmt::format("interrupt from core {}", from)
                     : std::string(kernel::name_of(work));
}

std::uint64_t parse_cycles(const std::string& option, const std::string& text,
                           std::string_view part) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
  if (error != std::errc() || end != part.data() + part.size() ||
      value > std::numeric_limits<std::uint64_t>::max() / kMillicycles) {
    throw InputError(
        fmt::format("{}: '{}' is no number of cycles; expected A..B, A.. or ..B, found '{}'",
                    option, part, text));
  }
  return value;
}

}  // namespace

TimelineWindow parse_window(const std::string& option, const std::string& text) {
  const auto dots = text.find("..");
  if (dots == std::string::npos) {
    throw InputError(
        fmt::format("{}: expected cycles as A..B, A.. or ..B, found '{}'", option, text));
  }
  const std::string_view all = text, first = all.substr(0, dots), last = all.substr(dots + 2);
  TimelineWindow window;
  if (!first.empty()) window.from = parse_cycles(option, text, first);
  if (!last.empty()) window.to = parse_cycles(option, text, last);
  if (window.from >= window.to) {
    throw InputError(fmt::format("{}: '{}' ends before it has begun", option, text));
  }
  return window;
}

Timeline::Timeline(kernel::System& system, TraceFile& file, const TimelineWindow& window)
    : system_(system),
      file_(file),
      millicycles_(static_cast<std::uint64_t>(
          std::llround(system.machine.profile().clock_ghz * kMillicycles))),
      from_(window.from * kMillicycles),
      to_(window.to == TimelineWindow().to ? window.to : window.to * kMillicycles),
      cores_(system.machine.core_count()),
      arrived_(cores_.size()) {
  for (std::size_t c = 0; c < cores_.size(); ++c) {
    const cpu::Core& core = system.machine.core(c);
    cores_[c].pending.resize(
        core.outstanding_tlbis());  // of boot: an injected fault left its DSB out
    file_.name_track(main_of(core), fmt::format("core {}", c));
    file_.name_track(windows_of(core), fmt::format("core {}: write windows", c));
    file_.name_track(reached_of(core), fmt::format("core {}: reached by", c));
  }
  machine_ = at(from_);
}

bool Timeline::moves_to(cpu::Core& core, Time now) {
  CoreState& state = of(core);
  if (now < from_ || state.left) return false;
  if (!state.entered) {
    state.entered = true;
    const std::vector<Open> open = std::exchange(state.open, {});
    for (const Open& span : open) open_slice(core, span, from_, true);
  }
  if (now < to_) return true;
  while (!state.open.empty()) close_slice(core, to_);
  state.left = true;
  return false;
}

void Timeline::open_slice(cpu::Core& core, const Open& span, Time now, bool goes_on) {
  CoreState& state = of(core);
  state.open.push_back(span);
  if (!state.entered || state.left) return;
  state.main = std::max(state.main, at(now));
  file_.begin(main_of(core), slice_name(span.work, span.from, span.number), state.main,
              goes_on ? R"({"goes_on":true})" : "");
}

void Timeline::close_slice(cpu::Core& core, Time now, std::string_view args) {
  CoreState& state = of(core);
  const Open span = state.open.back();
  state.open.pop_back();
  if (!state.entered || state.left) return;
  state.main = std::max(state.main, at(now));
  file_.end(main_of(core), slice_name(span.work, span.from, span.number), state.main, args);
}

// Where cores are interleaved an activity may have slept here while another one ran: what was drawn
// of the one ends, and what the other was at goes on.
void Timeline::follow(cpu::Core& core, Time now) {
  CoreState& state = of(core);
  const Span* const innermost = system_.taps.innermost;
  if (!state.open.empty() && innermost != nullptr && &innermost->core() == &core &&
      state.open.back().number == innermost->number()) {
    return;
  }
  std::vector<const Span*> chain;  // the outermost first
  for (const Span* span = innermost; span != nullptr; span = span->outer()) {
    if (&span->core() == &core) chain.push_back(span);
  }
  std::reverse(chain.begin(), chain.end());
  const std::size_t below = !state.open.empty() && state.open[0].number == 0 ? 1 : 0;
  std::size_t same = 0;
  while (same < chain.size() && below + same < state.open.size() &&
         chain[same]->number() == state.open[below + same].number) {
    ++same;
  }
  while (state.open.size() > below + same) close_slice(core, now);
  for (std::size_t i = same; i < chain.size(); ++i) {
    const bool fresh = chain[i] == innermost && chain[i]->begun() == core.time();
    open_slice(core, {chain[i]->number(), chain[i]->work()}, now, !fresh);
  }
}

bool Timeline::draw(TraceFile::Track track, Nanoseconds& drawn, std::string_view name, Time from,
                    Time to, std::string_view args) {
  if (to < from_ || from >= to_) return false;
  const Nanoseconds begin = std::max(drawn, at(std::max(from, from_)));
  if (begin >= at(to_)) return false;
  // A viewer takes what has no length for an instant, to which no arrow leads.
  drawn = std::max(begin + 1, at(std::min(to, to_)));
  file_.slice(track, name, begin, drawn, args);
  return true;
}

void Timeline::begun(const Span& span, Time now) {
  moves_to(span.core(), now);
  follow(span.core(), now);
}

void Timeline::ending(const Span& span, Time now) {
  cpu::Core& core = span.core();
  moves_to(core, now);
  follow(core, now);
  close_slice(core, now,
              fmt::format(R"({{"cycles":{}}})", (core.time() - span.begun()) / kMillicycles));
  if (of(core).open.empty() && inside(now)) counters(core, now);
}

void Timeline::window(cpu::Core& core, bool opened, Time now) {
  CoreState& state = of(core);
  moves_to(core, now);
  if (opened) {
    state.window_from = now;
  } else if (state.in_window) {
    draw(windows_of(core), state.windows, "window", state.window_from, now);
  }
  state.in_window = opened;
  if (inside(now)) writable_counter(core, now);
}

void Timeline::faulted(cpu::Core& core, const mmu::Fault& fault, Time now) {
  if (!moves_to(core, now)) return;
  follow(core, now);
  CoreState& state = of(core);
  state.main = std::max(state.main, at(now));
  file_.instant(main_of(core),
                fmt::format("{} fault", mmu::kFaultNames[static_cast<std::size_t>(fault.kind)]),
                state.main,
                fmt::format(R"({{"address":"{:#x}","level":{},"write":{},"overlay":{}}})",
                            fault.far.value, fault.level, fault.write, fault.overlay));
}

void Timeline::strike(cpu::Core& core, std::string_view about, Time now) {
  if (!moves_to(core, now)) return;
  follow(core, now);
  CoreState& state = of(core);
  state.main = std::max(state.main, at(now));
  file_.instant(main_of(core), "strike", state.main, about);
}

// Whatever that core is at itself is not drawn meanwhile.
void Timeline::interrupting(cpu::Core& from, cpu::Core& to, Time now) {
  moves_to(to, now);
  follow(to, now);
  open_slice(to, {0, {}, from.id()}, now, false);
}

void Timeline::interrupted(cpu::Core&, cpu::Core& to, Time now) {
  moves_to(to, now);
  follow(to, now);
  close_slice(to, now);
}

void Timeline::machine_counter(std::string_view name, std::uint64_t& drawn, std::uint64_t value,
                               Time now) {
  if (drawn == value) return;
  drawn = value;
  machine_ = std::max(machine_, at(now));
  file_.counter(name, machine_, value);
}

void Timeline::counters(cpu::Core& core, Time now) {
  const kernel::AllocatorStatistics allocator = system_.allocator->statistics();
  machine_counter("pages cached", cached_, allocator.cached, now);
  machine_counter("page-table pages", tables_, allocator.live, now);
  writable_counter(core, now);
  CoreState& state = of(core);
  const std::uint64_t entries = tlb_entries(core.mmu());
  if (state.tlb_entries == entries) return;
  state.tlb_entries = entries;
  file_.counter(fmt::format("core {}: TLB entries", core.id()), at(now), entries);
}

void Timeline::writable_counter(cpu::Core& core, Time now) {
  CoreState& state = of(core);
  const std::uint64_t bytes = system_.exposure.writable_now(core);
  if (state.writable == bytes) return;
  state.writable = bytes;
  file_.counter(fmt::format("core {}: writable table bytes", core.id()), at(now), bytes);
}

void Timeline::phase(const std::string& name, Time now) {
  if (!inside(now)) return;
  // Of all tracks, and the only name that comes from input.
  machine_ = std::max(machine_, at(now));
  file_.mark(dump(nlohmann::ordered_json("phase " + name), 0), machine_);
}

void Timeline::finish(Time now) {
  for (std::size_t c = 0; c < cores_.size(); ++c) {
    cpu::Core& core = system_.machine.core(c);
    CoreState& state = cores_[c];
    moves_to(core, now);
    while (!state.open.empty()) close_slice(core, now);
    never_complete(core, now);
  }
  file_.finish(fmt::format(
      R"({{"core":{},"clock_mhz":{},"time":"{}"}})",
      dump(nlohmann::ordered_json(system_.machine.profile().name), 0), millicycles_,
      system_.machine.interleaved() ? "of each core" : "of the core that acts; cores take turns"));
}

}  // namespace kpksim::watch
