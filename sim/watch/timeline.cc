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

std::string_view name_of(cpu::Barrier barrier) {
  constexpr std::string_view kNames[] = {"DSB ISHST", "DSB NSH", "DSB ISH", "DSB OSH", "ISB"};
  return kNames[static_cast<std::size_t>(barrier)];
}

cpu::Event event_of(cpu::Barrier barrier) {
  switch (barrier) {
    case cpu::Barrier::kDsbIshst:
      return cpu::Event::kDsbIshst;
    case cpu::Barrier::kDsbNsh:
      return cpu::Event::kDsbNsh;
    case cpu::Barrier::kDsbIsh:
      return cpu::Event::kDsbIsh;
    case cpu::Barrier::kDsbOsh:
      return cpu::Event::kDsbOsh;
    case cpu::Barrier::kIsb:
      break;
  }
  return cpu::Event::kIsb;
}

std::string_view suffix(mmu::Domain domain) {
  switch (domain) {
    case mmu::Domain::kLocal:
      return "";
    case mmu::Domain::kInner:
      return "IS";
    case mmu::Domain::kOuter:
      break;
  }
  return "OS";
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

std::uint64_t Timeline::price(cpu::Event event) const {
  return system_.machine.profile().millicycles[static_cast<std::size_t>(event)];
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
  const std::string name = span.number == 0 ? fmt::format("interrupt from core {}", span.from)
                                            : std::string(kernel::name_of(span.work));
  file_.begin(main_of(core), name, state.main, goes_on ? R"({"goes_on":true})" : "");
}

void Timeline::close_slice(cpu::Core& core, Time now, std::string_view args) {
  CoreState& state = of(core);
  state.open.pop_back();
  if (!state.entered || state.left) return;
  state.main = std::max(state.main, at(now));
  file_.end(main_of(core), state.main, args);
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

void Timeline::barrier(cpu::Core& core, cpu::Barrier barrier, bool after, Time now) {
  CoreState& state = of(core);
  if (!after) {
    state.barrier_from = now - std::min(now, price(event_of(barrier)));
    return;
  }
  moves_to(core, now);
  follow(core, now);
  draw(main_of(core), state.main, name_of(barrier), state.barrier_from, now);
  if (barrier != cpu::Barrier::kIsb) arrive(core, now);
}

void Timeline::tlbi(cpu::Core& core, const mmu::TlbiOp& op, const cpu::CoreSet* only, Time now) {
  CoreState& state = of(core);
  moves_to(core, now);
  follow(core, now);
  const std::string name = fmt::format("TLBI {}{}", mmu::info(op.kind).name, suffix(op.domain));
  const auto event = static_cast<cpu::Event>(static_cast<unsigned>(cpu::Event::kTlbiFirst) +
                                             static_cast<unsigned>(op.kind));
  const Nanoseconds before = state.main;
  const Time from = now - std::min(now, price(event));
  Pending pending;
  pending.drawn = inside(now) && draw(main_of(core), state.main, name, from, now);
  pending.first_arrow = next_arrow_;
  next_arrow_ += cores_.size();
  if (pending.drawn) {
    const Nanoseconds start = std::max(before, at(std::max(from, from_)));
    for (unsigned c = 0; c < cores_.size(); ++c) {
      const bool own = c == core.id();
      if (!own && (op.domain == mmu::Domain::kLocal || (only != nullptr && !only->has(c))))
        continue;
      pending.to.add(c);
      file_.flow_from(main_of(core), pending.first_arrow + c, start);
    }
  }
  state.pending.push_back(std::move(pending));
}

void Timeline::reaching(cpu::Core& from, cpu::Core& on, std::size_t which, unsigned dropped,
                        Time now) {
  std::vector<Pending>& pending = of(from).pending;
  const bool at_once = which == cpu::Observer::kAtOnce;
  Pending& tlbi = at_once ? pending.back() : pending[which];
  Arrived& here = arrived_[on.id()];
  ++here.tlbis;
  here.dropped += dropped;
  if (tlbi.drawn) here.arrows.push_back(tlbi.first_arrow + on.id());
  tlbi.done = true;
  if (at_once) arrive(from, now);
}

// One slice on each core for all TLBIs that a DSB has completed there.
void Timeline::arrive(cpu::Core& from, Time now) {
  for (unsigned c = 0; c < cores_.size(); ++c) {
    Arrived& here = arrived_[c];
    if (here.tlbis == 0) continue;
    const cpu::Core& on = system_.machine.core(c);
    Nanoseconds& drawn = cores_[c].reached;
    const Nanoseconds start = std::max(drawn, at(std::min(now, to_)));
    // What was issued in the part that is drawn ends in it, however late it arrives.
    if (inside(now) || !here.arrows.empty()) {
      drawn = start + 1;
      file_.slice(reached_of(on), fmt::format("TLBIs of core {}", from.id()), start, drawn,
                  fmt::format(R"({{"tlbis":{},"entries_dropped":{}}})", here.tlbis, here.dropped));
      for (const std::uint64_t id : here.arrows) file_.flow_to(reached_of(on), id, start);
    }
    here = {};
  }
  std::erase_if(of(from).pending, [](const Pending& p) { return p.done; });
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
    // What no DSB has completed reaches nobody.
    bool any = false;
    const Nanoseconds end = std::max(state.reached, at(std::min(now, to_)));
    for (const Pending& pending : state.pending) {
      if (!pending.drawn) continue;
      if (!std::exchange(any, true)) {
        file_.slice(reached_of(core), "never completed", end, end + 1);
      }
      pending.to.for_each(
          [&](unsigned to) { file_.flow_to(reached_of(core), pending.first_arrow + to, end); });
    }
  }
  file_.finish(fmt::format(
      R"({{"core":{},"clock_mhz":{},"time":"{}"}})",
      dump(nlohmann::ordered_json(system_.machine.profile().name), 0), millicycles_,
      system_.machine.interleaved() ? "of each core" : "of the core that acts; cores take turns"));
}

}  // namespace kpksim::watch
