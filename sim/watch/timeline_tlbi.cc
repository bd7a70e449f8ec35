// Barriers and TLBIs of a timeline: each as long as it takes, and an arrow from each TLBI to where
// it arrives.

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "sim/watch/timeline.h"

namespace kpksim::watch {

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

}  // namespace

std::uint64_t Timeline::price(cpu::Event event) const {
  return system_.machine.profile().millicycles[static_cast<std::size_t>(event)];
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

// What no DSB has completed reaches nobody.
void Timeline::never_complete(cpu::Core& core, Time now) {
  CoreState& state = of(core);
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

}  // namespace kpksim::watch
