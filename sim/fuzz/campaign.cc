#include "sim/fuzz/campaign.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "sim/base/parallel.h"

namespace kpksim::fuzz {
namespace {

// Programs that are run before failures are looked at.
constexpr std::uint64_t kRound = 64;

struct Tried {
  std::size_t operations = 0;
  Outcome outcome;
};

Tried try_one(const Campaign& campaign, std::uint64_t number) {
  const Drawn drawn = draw(campaign, number);
  return {drawn.program.ops.size(), try_program(drawn.program, *drawn.place, campaign.machine)};
}

// "stale-entry-1-17", and with another number behind it if one program has several.
std::string name_of(const Failure& failure, std::uint64_t seed, std::uint64_t number,
                    const std::vector<Found>& others) {
  std::string rule = failure.kind.substr(0, failure.kind.find(':'));
  std::replace(rule.begin(), rule.end(), ' ', '-');
  const std::string name = fmt::format("{}-{}-{}", rule, seed, number);
  const auto same = std::count_if(others.begin(), others.end(), [&](const Found& other) {
    return other.name == name || other.name.starts_with(name + "-");
  });
  return same == 0 ? name : fmt::format("{}-{}", name, same + 1);
}

}  // namespace

Drawn draw(const Campaign& campaign, std::uint64_t number) {
  Dice dice(campaign.seed, number);
  Drawn drawn;
  while (drawn.place == nullptr) {
    drawn.place = campaign.places->at(dice.below(campaign.places->size()));
  }
  const Place& place = *drawn.place;
  Bounds bounds = campaign.bounds;
  bounds.interleave &= place.interleave;
  bounds.guard_pages = place.kernel->guard_pages;
  bounds.strikes = !place.leaves_open;
  drawn.program = random_program(dice, bounds);
  return drawn;
}

Findings search(const Campaign& campaign) {
  Findings out;
  std::map<std::string, std::size_t> known;  // kind: which of `found`
  while (out.found.size() < campaign.kinds && campaign.go_on(out.programs)) {
    const std::uint64_t left = campaign.programs - out.programs;
    const std::uint64_t count = campaign.programs == 0 ? kRound : std::min(kRound, left);
    if (count == 0) break;
    std::vector<Tried> round(count);
    const std::uint64_t first = campaign.first + out.programs;
    parallel_for(count, campaign.jobs,
                 [&](std::size_t i) { round[i] = try_one(campaign, first + i); });
    for (std::size_t i = 0; i < count && out.found.size() < campaign.kinds; ++i) {
      ++out.programs;
      out.operations += round[i].operations;
      for (const Failure& failure : round[i].outcome.failures) {
        const auto at = known.find(failure.kind);
        if (at != known.end()) {
          ++out.found[at->second].programs;
        } else if (out.found.size() < campaign.kinds) {
          known.emplace(failure.kind, out.found.size());
          Found& found = out.found.emplace_back();
          found.name = name_of(failure, campaign.seed, first + i, out.found);
          found.number = first + i;
          found.programs = 1;
          found.events = round[i].outcome.events;
          found.drawn = draw(campaign, found.number);
          found.small = {found.drawn.program, failure};
        }
      }
    }
  }
  return out;
}

void shrink(const Campaign& campaign, Found& found, const Patience& patience) {
  const Place& place = *found.drawn.place;
  const Failure failure = found.small.failure;
  found.small =
      shrink(found.drawn.program, failure, found.events, place, campaign.machine, patience);
  const Outcome again = try_program(found.small.program, place, campaign.machine, {.whole = true});
  found.reproduced = std::any_of(again.failures.begin(), again.failures.end(),
                                 [&](const Failure& f) { return f.kind == failure.kind; });
}

std::string workload_text(const Found& found, const Campaign& campaign) {
  return workload_text(
      found.small.program, found.name,
      fmt::format("Program {} of kpksim fuzz --seed {}{}: {}", found.number, campaign.seed,
                  found.small.trials == 0 ? "" : ", made smaller", found.small.failure.kind));
}

std::vector<std::string> arguments(const Found& found, const Campaign& campaign,
                                   const std::string& file) {
  const Place& place = *found.drawn.place;
  const Program& program = found.small.program;
  std::vector<std::string> out = {"run", "--check", "-p", kernel::text_of(place.policy)};
  const auto add = [&](const char* option, const std::string& value) {
    out.emplace_back(option);
    out.push_back(value);
  };
  add("--core", place.core_name);
  add("--kernel", place.kernel_name);
  add("--memory", fmt::format("{}M", campaign.machine.memory_bytes >> 20));
  if (program.cores != 1) add("--cores", std::to_string(program.cores));
  if (program.hz != 0) add("--hz", std::to_string(program.hz));
  if (program.pressure_every != 0) add("--pressure-every", std::to_string(program.pressure_every));
  for (const kernel::Injection& i : campaign.machine.injections) add("--inject", text_of(i));
  out.push_back(file);
  return out;
}

}  // namespace kpksim::fuzz
