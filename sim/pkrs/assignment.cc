#include "sim/pkrs/assignment.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <limits>

#include "sim/base/error.h"
#include "sim/pkrs/assignment_detail.h"

namespace kpksim::pkrs {
namespace {

struct Named {
  std::string_view name, description;
};
constexpr std::array<Named, kStrategies> kNamed = {{
    {"dedicated", "a key for each class, or a refusal"},
    {"shared-graph", "classes that no context holds apart share a key, or a refusal"},
    {"shared-balanced", "the pair of keys that costs the least is merged until the budget holds"},
    {"hierarchical", "keys are levels: a context can write its own level and all below"},
    {"virtualised", "a context whose class has no key takes the one least recently used"},
    {"optimal", "the least over-privilege that there is (16 classes at most)"},
}};

unsigned keys_of(unsigned budget) { return budget - 1; }

std::vector<Group> one_each(const Demand& demand) {
  std::vector<Group> groups;
  groups.reserve(demand.classes.size());
  for (std::size_t i = 0; i < demand.classes.size(); ++i) groups.push_back({i});
  return groups;
}

Assignment dedicated(const Demand& demand, unsigned budget) {
  if (demand.classes.size() > keys_of(budget)) {
    return refused(
        Strategy::kDedicated, budget,
        fmt::format("{} classes, {} keys for them: '{}' is the first without one",
                    demand.classes.size(), keys_of(budget), demand.classes[keys_of(budget)].name));
  }
  return from_groups(demand, Strategy::kDedicated, budget, one_each(demand));
}

// Classes conflict where sharing costs, whatever the weights: a context that never ran may run.
bool conflict(const Demand& demand, std::size_t a, std::size_t b) {
  return !may_share(demand, a, b) ||
         std::any_of(demand.contexts.begin(), demand.contexts.end(),
                     [&](const ContextDemand& c) { return c.uses[a] != c.uses[b]; });
}

// A colouring. What no context holds apart is an equivalence, so the conflict graph joins every
// class to all that are not equivalent to it, and giving each class the first group without a
// conflict needs no more colours than any other way.
Assignment shared_graph(const Demand& demand, unsigned budget) {
  std::vector<Group> groups;
  for (std::size_t i = 0; i < demand.classes.size(); ++i) {
    const auto fits = [&](const Group& group) {
      return std::none_of(group.begin(), group.end(),
                          [&](std::size_t other) { return conflict(demand, i, other); });
    };
    const auto found = std::find_if(groups.begin(), groups.end(), fits);
    if (found != groups.end()) {
      found->push_back(i);
    } else if (groups.size() < keys_of(budget)) {
      groups.push_back({i});
    } else {
      return refused(Strategy::kSharedGraph, budget,
                     fmt::format("'{}' conflicts with a class of each of the {} keys",
                                 demand.classes[i].name, keys_of(budget)));
    }
  }
  return from_groups(demand, Strategy::kSharedGraph, budget, std::move(groups));
}

Group joined(Group a, const Group& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Assignment shared_balanced(const Demand& demand, unsigned budget) {
  std::vector<Group> groups = one_each(demand);
  while (groups.size() > keys_of(budget)) {
    std::optional<Cost> least;
    std::size_t first = 0, second = 0;
    for (std::size_t a = 0; a < groups.size(); ++a) {
      for (std::size_t b = a + 1; b < groups.size(); ++b) {
        if (!may_share(demand, groups[a][0], groups[b][0])) continue;
        const Cost added = cost_of(demand, joined(groups[a], groups[b])) -
                           cost_of(demand, groups[a]) - cost_of(demand, groups[b]);
        if (least && *least <= added) continue;
        least = added;
        first = a;
        second = b;
      }
    }
    if (!least) {
      return refused(Strategy::kSharedBalanced, budget,
                     "secrets and what everybody reads need a key each");
    }
    groups[first] = joined(groups[first], groups[second]);
    groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(second));
  }
  return from_groups(demand, Strategy::kSharedBalanced, budget, std::move(groups));
}

// Levels in an order of classes, secrets on top, and below in each part those that the most time
// writes: what is written often gives least away with what it reaches. The cuts between levels are
// the best for this order (dynamic programming).
class Hierarchy {
 public:
  Hierarchy(const Demand& demand, unsigned budget)
      : demand_(demand), keys_(keys_of(budget)), order_(demand.classes.size()) {
    for (std::size_t i = 0; i < order_.size(); ++i) order_[i] = i;
    std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      const bool a_secret = demand.classes[a].secret, b_secret = demand.classes[b].secret;
      return a_secret != b_secret ? b_secret : time_of(a) > time_of(b);
    });
  }

  // A level ends before each position of the result.
  std::optional<std::vector<std::size_t>> cuts() const {
    const std::size_t n = order_.size();
    std::vector<std::vector<std::optional<Cost>>> best(keys_ + 1,
                                                       std::vector<std::optional<Cost>>(n + 1));
    std::vector<std::vector<std::size_t>> from(keys_ + 1, std::vector<std::size_t>(n + 1));
    best[0][0] = 0;
    for (unsigned k = 1; k <= keys_; ++k) {
      for (std::size_t end = 1; end <= n; ++end) {
        for (std::size_t start = 0; start < end; ++start) {
          if (!best[k - 1][start] || !may_share(demand_, order_[start], order_[end - 1])) continue;
          const Cost cost = *best[k - 1][start] + cost_of_level(start, end);
          if (best[k][end] && *best[k][end] <= cost) continue;
          best[k][end] = cost;
          from[k][end] = start;
        }
      }
    }
    unsigned used = 0;
    for (unsigned k = 1; k <= keys_; ++k) {
      if (best[k][n] && (used == 0 || *best[k][n] < *best[used][n])) used = k;
    }
    if (used == 0) return std::nullopt;
    std::vector<std::size_t> cuts;
    for (std::size_t end = n; end != 0; end = from[used--][end]) cuts.push_back(end);
    std::reverse(cuts.begin(), cuts.end());
    return cuts;
  }

  const std::vector<std::size_t>& order() const { return order_; }

 private:
  Cost time_of(std::size_t of) const {
    Cost sum = 0;
    for (const ContextDemand& c : demand_.contexts) sum += c.uses[of] ? c.weight : 0;
    return sum;
  }
  // Of contexts whose highest class lies in this level: what they reach below its end without use.
  Cost cost_of_level(std::size_t start, std::size_t end) const {
    Cost sum = 0;
    for (const ContextDemand& c : demand_.contexts) {
      const auto uses = [&](std::size_t at) { return c.uses[order_[at]]; };
      bool here = false, above = false;
      for (std::size_t at = start; at < order_.size(); ++at) (at < end ? here : above) |= uses(at);
      if (!here || above) continue;
      for (std::size_t at = 0; at < end; ++at) {
        if (!uses(at)) sum += Cost{c.weight} * demand_.classes[order_[at]].bytes;
      }
    }
    return sum;
  }

  const Demand& demand_;
  const unsigned keys_;
  std::vector<std::size_t> order_;
};

Assignment hierarchical(const Demand& demand, unsigned budget) {
  const Hierarchy hierarchy(demand, budget);
  const auto cuts = hierarchy.cuts();
  if (!cuts) {
    return refused(Strategy::kHierarchical, budget,
                   "secrets and what everybody reads need a level each");
  }
  std::vector<Group> levels;
  levels.reserve(cuts->size());
  std::vector<std::size_t> level_of(demand.classes.size());
  std::size_t at = 0;
  for (const std::size_t end : *cuts) {
    Group level;
    for (; at < end; ++at) {
      level_of[hierarchy.order()[at]] = levels.size();
      level.push_back(hierarchy.order()[at]);
    }
    std::sort(level.begin(), level.end());
    levels.push_back(std::move(level));
  }
  Assignment out = from_groups(demand, Strategy::kHierarchical, budget, levels);
  for (std::size_t c = 0; c < demand.contexts.size(); ++c) {
    std::optional<std::size_t> highest;
    for (std::size_t i = 0; i < level_of.size(); ++i) {
      if (demand.contexts[c].uses[i]) highest = std::max(highest.value_or(0), level_of[i]);
    }
    for (std::size_t i = 0; i < level_of.size(); ++i) {
      out.reaches[c][i] = highest && level_of[i] <= *highest;
    }
  }
  return out;
}

// How many classes of a kind need a key of their own at a time, and how many there are.
struct Needs {
  unsigned at_once = 0, all = 0;
};
Needs needs_of(const Demand& demand, bool secret) {
  const auto counts = [&](std::size_t i) {
    return demand.classes[i].secret == secret && !demand.classes[i].pinned;
  };
  Needs out;
  for (std::size_t i = 0; i < demand.classes.size(); ++i) out.all += counts(i);
  for (const ContextDemand& c : demand.contexts) {
    unsigned uses = 0;
    for (std::size_t i = 0; i < c.uses.size(); ++i) {
      const bool held =
          c.uses[i] || (!c.around.empty() && c.around[i]) || demand.classes[i].anywhere;
      uses += held && counts(i) ? 1 : 0;
    }
    out.at_once = std::max(out.at_once, uses);
  }
  return out;
}

Assignment virtualised(const Demand& demand, unsigned budget) {
  Assignment out;
  out.strategy = Strategy::kVirtualised;
  out.budget = budget;
  out.virtualised = true;
  const auto& classes = demand.classes;
  const Needs plain = needs_of(demand, false), secret = needs_of(demand, true);
  std::uint8_t next = 1;
  out.key.resize(classes.size());
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (classes[i].pinned) out.key[i] = PkeyIndex(next++);
  }
  out.parked = PkeyIndex(next++);
  out.parked_secret = secret.all != 0 ? PkeyIndex(next++) : out.parked;
  out.first_free = PkeyIndex(next);
  const unsigned least = next + plain.at_once + secret.at_once;
  if (least > budget) {
    return refused(Strategy::kVirtualised, budget,
                   fmt::format("{} keys that stay and {} for the classes of one context are {}",
                               next, plain.at_once + secret.at_once, least));
  }
  // What is left over goes to both kinds in proportion.
  const unsigned over = budget - least, all = plain.all + secret.all;
  const unsigned share = all == 0 ? 0 : over * secret.all / all;
  const unsigned secrets = std::min(secret.all, secret.at_once + share);
  out.first_secret = PkeyIndex(static_cast<std::uint8_t>(budget - secrets));
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (!classes[i].pinned) out.key[i] = classes[i].secret ? out.parked_secret : out.parked;
  }
  out.reaches.reserve(demand.contexts.size());
  for (const ContextDemand& c : demand.contexts) out.reaches.push_back(c.uses);
  return out;
}

Assignment optimal(const Demand& demand, unsigned budget) {
  if (demand.classes.size() > kMostClassesOfOptimal) {
    return refused(Strategy::kOptimal, budget,
                   fmt::format("{} classes; the optimum is known for {} at most",
                               demand.classes.size(), kMostClassesOfOptimal));
  }
  auto groups = optimal_groups(demand, keys_of(budget));
  if (!groups) {
    return refused(Strategy::kOptimal, budget, "secrets and what everybody reads need a key each");
  }
  return from_groups(demand, Strategy::kOptimal, budget, std::move(*groups));
}

}  // namespace

std::string_view name_of(Strategy strategy) {
  return kNamed[static_cast<std::size_t>(strategy)].name;
}
std::string_view description_of(Strategy strategy) {
  return kNamed[static_cast<std::size_t>(strategy)].description;
}

Strategy parse_strategy(const std::string& name) {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < kStrategies; ++i) {
    if (kNamed[i].name == name) return static_cast<Strategy>(i);
    known.emplace_back(kNamed[i].name);
  }
  throw InputError(fmt::format("'{}' is not a strategy{}", name, suggest(name, known)));
}

bool may_share(const Demand& demand, std::size_t a, std::size_t b) {
  return demand.classes[a].secret == demand.classes[b].secret;
}

Cost cost_of(const Demand& demand, const Group& group) {
  Cost sum = 0;
  for (const ContextDemand& c : demand.contexts) {
    if (std::none_of(group.begin(), group.end(), [&](std::size_t i) { return c.uses[i]; }))
      continue;
    for (const std::size_t i : group) {
      if (!c.uses[i]) sum += Cost{c.weight} * demand.classes[i].bytes;
    }
  }
  return sum;
}

Assignment refused(Strategy strategy, unsigned budget, const std::string& why) {
  Assignment out;
  out.strategy = strategy;
  out.budget = budget;
  out.refusal = why;
  return out;
}

Assignment from_groups(const Demand& demand, Strategy strategy, unsigned budget,
                       std::vector<Group> groups) {
  for (Group& group : groups) std::sort(group.begin(), group.end());
  std::vector<Group> in_order = groups;
  std::sort(in_order.begin(), in_order.end());
  Assignment out;
  out.strategy = strategy;
  out.budget = budget;
  out.key.resize(demand.classes.size());
  for (std::size_t g = 0; g < in_order.size(); ++g) {
    for (const std::size_t i : in_order[g])
      out.key[i] = PkeyIndex(static_cast<std::uint8_t>(g + 1));
  }
  for (const ContextDemand& c : demand.contexts) {
    std::vector<bool> open(budget);
    for (std::size_t i = 0; i < c.uses.size(); ++i) {
      if (c.uses[i]) open[out.key[i].value] = true;
    }
    std::vector<bool> reaches;
    reaches.reserve(c.uses.size());
    for (std::size_t i = 0; i < c.uses.size(); ++i) reaches.push_back(open[out.key[i].value]);
    out.reaches.push_back(std::move(reaches));
  }
  return out;
}

Assignment assign(const Demand& demand, Strategy strategy, unsigned budget) {
  switch (strategy) {
    case Strategy::kDedicated:
      return dedicated(demand, budget);
    case Strategy::kSharedGraph:
      return shared_graph(demand, budget);
    case Strategy::kSharedBalanced:
      return shared_balanced(demand, budget);
    case Strategy::kHierarchical:
      return hierarchical(demand, budget);
    case Strategy::kVirtualised:
      return virtualised(demand, budget);
    case Strategy::kOptimal:
      return optimal(demand, budget);
  }
  throw ModelError("no such strategy");
}

Cost over_privilege(const Demand& demand, const Assignment& assignment) {
  Cost sum = 0;
  for (std::size_t c = 0; c < demand.contexts.size(); ++c) {
    const ContextDemand& context = demand.contexts[c];
    for (std::size_t i = 0; i < demand.classes.size(); ++i) {
      if (assignment.reaches[c][i] && !context.uses[i]) {
        sum += Cost{context.weight} * demand.classes[i].bytes;
      }
    }
  }
  return sum;
}

std::string illegal(const Demand& demand, const Assignment& assignment) {
  const auto& classes = demand.classes;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const unsigned key = assignment.key[i].value;
    if (key == 0 || key >= assignment.budget) {
      return fmt::format("'{}' has key {} of {}", classes[i].name, key, assignment.budget);
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (assignment.key[j] == assignment.key[i] && !may_share(demand, i, j)) {
        return fmt::format("'{}' and '{}' share a key, and one is secret", classes[j].name,
                           classes[i].name);
      }
    }
  }
  for (std::size_t c = 0; c < demand.contexts.size(); ++c) {
    for (std::size_t i = 0; i < classes.size(); ++i) {
      if (demand.contexts[c].uses[i] && !assignment.reaches[c][i]) {
        return fmt::format("context '{}' does not reach '{}'", demand.contexts[c].name,
                           classes[i].name);
      }
    }
  }
  return {};
}

}  // namespace kpksim::pkrs
