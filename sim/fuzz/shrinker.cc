#include "sim/fuzz/shrinker.h"

#include <algorithm>
#include <set>

namespace kpksim::fuzz {
namespace {

// Keys that hold a number, and the least that it can be.
struct Number {
  const char* key;
  std::uint64_t least, unit;
};
constexpr Number kNumbers[] = {{"size", kPageSize, kPageSize},
                               {"new_size", kPageSize, kPageSize},
                               {"offset", 0, kPageSize},
                               {"stride", kPageSize, kPageSize},
                               {"pages", 1, 1},
                               {"count", 0, 1},
                               {"percent", 1, 1},
                               {"core", 0, 1},
                               {"descriptor", 0, 1},
                               {"components", 1, 1}};

// What fewer operations may have more of: forks of what was unmapped before, say.
constexpr std::uint64_t kEventsOfNothing = 100'000;

class Shrinker {
 public:
  Shrinker(const Program& program, const Failure& failure, std::uint64_t events, const Place& place,
           const Machine& machine, const Patience& patience)
      : place_(place),
        machine_(machine),
        patience_(patience),
        most_events_(std::min(kMostEvents, 2 * events + kEventsOfNothing)),
        best_{program, failure} {}

  Shrunk shrink() {
    for (bool smaller = true; smaller && left();) {
      smaller = machine();
      smaller |= names({"task", "child"});
      smaller |= names({"region", "new_region"});
      smaller |= operations();
      smaller |= details();
      smaller |= numbers();
    }
    return std::move(best_);
  }

 private:
  bool left() const { return best_.trials < patience_.trials && best_.events < patience_.events; }

  // It fails in the same way: it is the best one now.
  bool keep_if_it_fails(Program program) {
    if (!left() || !is_benign(program, place_.kernel->guard_pages)) return false;
    const Outcome outcome = try_program(program, place_, machine_, {most_events_});
    patience_.tried(++best_.trials);
    best_.events += outcome.events;
    for (const Failure& f : outcome.failures) {
      if (f.kind != best_.failure.kind) continue;
      if (f.kind.starts_with(kNoWorkload) == is_workload(program)) return false;
      best_.program = std::move(program);
      best_.failure = f;
      return true;
    }
    return false;
  }

  template <class Change>
  bool changed(Change&& change) {
    Program program = best_.program;
    change(program);
    return keep_if_it_fails(std::move(program));
  }

  bool machine() {
    bool any = false;
    const Program& now = best_.program;
    if (now.interleave) any |= changed([](Program& p) { p.interleave = false; });
    if (now.hz != 0) any |= changed([](Program& p) { p.hz = 0; });
    if (now.pressure_every != 0) any |= changed([](Program& p) { p.pressure_every = 0; });
    for (unsigned cores = 1; cores < now.cores; ++cores) {
      const bool done = changed([&](Program& p) {
        p.cores = cores;
        for (Json& op : p.ops) {
          if (op.contains("core")) op["core"] = op["core"].get<unsigned>() % cores;
        }
      });
      if (done) return true;
    }
    return any;
  }

  // All that names one of them goes at once.
  bool names(std::initializer_list<const char*> keys) {
    std::set<std::string> all;
    for (const Json& op : best_.program.ops) {
      for (const char* key : keys) {
        if (op.contains(key)) all.insert(op[key].get<std::string>());
      }
    }
    bool any = false;
    for (const std::string& name : all) {
      any |= changed([&](Program& p) {
        Json kept = Json::array();
        for (const Json& op : p.ops) {
          const bool named = std::any_of(keys.begin(), keys.end(), [&](const char* key) {
            return op.contains(key) && op[key] == name;
          });
          if (!named) kept.push_back(op);
        }
        p.ops = std::move(kept);
      });
    }
    return any;
  }

  // Runs of operations, half as long each time.
  bool operations() {
    bool any = false;
    for (std::size_t length = best_.program.ops.size() / 2; length != 0; length /= 2) {
      for (std::size_t at = 0; at < best_.program.ops.size() && left();) {
        const bool done = changed([&](Program& p) {
          const auto begin = p.ops.begin() + static_cast<std::ptrdiff_t>(at);
          const auto n = std::min(length, p.ops.size() - at);
          p.ops.erase(begin, begin + static_cast<std::ptrdiff_t>(n));
        });
        any |= done;
        if (!done) at += length;
      }
    }
    return any;
  }

  bool details() {
    bool any = false;
    for (std::size_t i = 0; i < best_.program.ops.size(); ++i) {
      std::vector<std::string> keys;
      for (const auto& [key, unused] : best_.program.ops[i].items()) keys.push_back(key);
      for (const std::string& key : keys) {
        if (key == "op" || key == "task") continue;
        any |= changed([&](Program& p) { p.ops[i].erase(key); });
      }
    }
    return any;
  }

  bool numbers() {
    bool any = false;
    for (std::size_t i = 0; i < best_.program.ops.size(); ++i) {
      for (const Number& number : kNumbers) any |= reduce(i, number);
    }
    return any;
  }

  // The least that it can be, or else the least that halving and then counting down leads to.
  bool reduce(std::size_t i, const Number& number) {
    const auto value = [&] { return best_.program.ops[i][number.key].get<std::uint64_t>(); };
    if (!best_.program.ops[i].contains(number.key)) return false;
    const auto lower = [&](std::uint64_t to) {
      return to < value() && changed([&](Program& p) { p.ops[i][number.key] = to; });
    };
    if (lower(number.least)) return true;
    bool any = false;
    while (value() > number.least && lower(value() / 2 / number.unit * number.unit)) any = true;
    while (value() >= number.least + number.unit && lower(value() - number.unit)) any = true;
    return any;
  }

  const Place& place_;
  const Machine& machine_;
  const Patience& patience_;
  const std::uint64_t most_events_;
  Shrunk best_;
};

}  // namespace

Shrunk shrink(const Program& program, const Failure& failure, std::uint64_t events,
              const Place& place, const Machine& machine, const Patience& patience) {
  return Shrinker(program, failure, events, place, machine, patience).shrink();
}

}  // namespace kpksim::fuzz
