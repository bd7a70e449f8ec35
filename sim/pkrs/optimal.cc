// The assignment with the least over-privilege, as a constraint problem for Gecode.

#include <gecode/int.hh>
#include <gecode/minimodel.hh>
#include <gecode/search.hh>
#include <memory>
#include <numeric>

#include "sim/pkrs/assignment_detail.h"

namespace kpksim::pkrs {
namespace {

// Gecode's integers have 32 bits. Larger costs are divided: then what is found is the least to
// within one part in 2^30 for each context and class.
constexpr Cost kMostCost = Cost{1} << 30;
// Some seconds of a search.
constexpr unsigned long long kMostNodes = 1'000'000;

class Keys final : public Gecode::IntMinimizeSpace {
 public:
  Keys(const Demand& demand, int keys, Cost unit)
      : keys_(*this, static_cast<int>(demand.classes.size()), 0, keys - 1),
        cost_(*this, 0, static_cast<int>(kMostCost)) {
    const auto n = static_cast<int>(demand.classes.size());
    // Keys are alike: a class takes a used one, or the next.
    Gecode::precede(*this, keys_, Gecode::IntArgs::create(keys, 0));
    Gecode::BoolVarArgs same(n * n);
    for (int a = 0; a < n; ++a) {
      for (int b = 0; b < a; ++b) {
        const bool may =
            may_share(demand, static_cast<std::size_t>(a), static_cast<std::size_t>(b));
        same[a * n + b] = same[b * n + a] = Gecode::BoolVar(*this, 0, may ? 1 : 0);
        Gecode::rel(*this, keys_[a], Gecode::IRT_EQ, keys_[b], same[a * n + b]);
      }
    }
    Gecode::IntArgs costs;
    Gecode::BoolVarArgs reached;
    for (const ContextDemand& context : demand.contexts) {
      for (int i = 0; i < n; ++i) {
        const auto of = static_cast<std::size_t>(i);
        const Cost cost = Cost{context.weight} * demand.classes[of].bytes / unit;
        if (context.uses[of] || cost == 0) continue;
        Gecode::BoolVarArgs with;
        for (int j = 0; j < n; ++j) {
          if (context.uses[static_cast<std::size_t>(j)]) with << same[i * n + j];
        }
        if (with.size() == 0) continue;
        const Gecode::BoolVar reaches(*this, 0, 1);
        Gecode::rel(*this, Gecode::BOT_OR, with, reaches);
        reached << reaches;
        costs << static_cast<int>(cost);
      }
    }
    Gecode::linear(*this, costs, reached, Gecode::IRT_EQ, cost_);
    Gecode::branch(*this, keys_, Gecode::INT_VAR_DEGREE_SIZE_MAX(), Gecode::INT_VAL_MIN());
    // What nobody decided costs nothing.
    Gecode::branch(*this, cost_, Gecode::INT_VAL_MIN());
  }
  Keys(Keys& other) : Gecode::IntMinimizeSpace(other) {
    keys_.update(*this, other.keys_);
    cost_.update(*this, other.cost_);
  }
  Gecode::Space* copy() override { return new Keys(*this); }
  Gecode::IntVar cost() const override { return cost_; }
  void costs_at_most(int most) { Gecode::rel(*this, cost_, Gecode::IRT_LQ, most); }

  std::vector<Group> groups() const {
    std::vector<Group> out;
    for (int i = 0; i < keys_.size(); ++i) {
      const auto key = static_cast<std::size_t>(keys_[i].val());
      if (out.size() <= key) out.resize(key + 1);
      out[key].push_back(static_cast<std::size_t>(i));
    }
    return out;
  }

 private:
  Gecode::IntVarArray keys_;
  Gecode::IntVar cost_;
};

}  // namespace

Optimum optimal_groups(const Demand& demand, unsigned keys) {
  const Assignment start = assign(demand, Strategy::kSharedBalanced, keys + 1);
  if (!start.refusal.empty()) return {};
  Group all(demand.classes.size());
  std::iota(all.begin(), all.end(), 0);
  const Cost unit = cost_of(demand, all) / kMostCost + 1;
  const auto most = static_cast<int>(keys < demand.classes.size() ? keys : demand.classes.size());
  Keys root(demand, most, unit);
  root.costs_at_most(static_cast<int>(over_privilege(demand, start) / unit));
  // Counted in nodes, not in time: the same answer everywhere.
  Gecode::Search::NodeStop limit(kMostNodes);
  Gecode::Search::Options options;
  options.stop = &limit;
  Gecode::BAB<Keys> search(&root, options);
  std::optional<std::vector<Group>> best;
  for (std::unique_ptr<const Keys> found(search.next()); found; found.reset(search.next())) {
    best = found->groups();
  }
  if (search.stopped()) return {.over = false};
  return {.groups = best};
}

}  // namespace kpksim::pkrs
