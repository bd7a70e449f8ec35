#include "tests/pkrs/gecode_optimum.h"

#include <gecode/int.hh>
#include <gecode/minimodel.hh>
#include <gecode/search.hh>
#include <memory>

namespace kpksim::test {
namespace {

class Keys final : public Gecode::IntMinimizeSpace {
 public:
  Keys(const pkrs::Demand& demand, int keys)
      : keys_(*this, static_cast<int>(demand.classes.size()), 0, keys - 1),
        cost_(*this, 0, 1 << 30) {
    const int n = keys_.size();
    const auto at = [](int i) { return static_cast<std::size_t>(i); };
    // Keys are alike: a class takes a used one, or the next.
    Gecode::precede(*this, keys_, Gecode::IntArgs::create(keys, 0));
    Gecode::BoolVarArgs same(n * n);
    for (int a = 0; a < n; ++a) {
      for (int b = 0; b < a; ++b) {
        const bool may = demand.classes[at(a)].secret == demand.classes[at(b)].secret;
        same[a * n + b] = same[b * n + a] = Gecode::BoolVar(*this, 0, may ? 1 : 0);
        Gecode::rel(*this, keys_[a], Gecode::IRT_EQ, keys_[b], same[a * n + b]);
      }
    }
    Gecode::IntArgs costs;
    Gecode::BoolVarArgs reached;
    for (const pkrs::ContextDemand& context : demand.contexts) {
      for (int i = 0; i < n; ++i) {
        if (context.uses[at(i)]) continue;
        Gecode::BoolVarArgs with;
        for (int j = 0; j < n; ++j) {
          if (context.uses[at(j)]) with << same[i * n + j];
        }
        if (with.size() == 0) continue;
        const Gecode::BoolVar reaches(*this, 0, 1);
        Gecode::rel(*this, Gecode::BOT_OR, with, reaches);
        reached << reaches;
        costs << static_cast<int>(context.weight * demand.classes[at(i)].bytes);
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

 private:
  Gecode::IntVarArray keys_;
  Gecode::IntVar cost_;
};

}  // namespace

std::optional<pkrs::Cost> least_by_gecode(const pkrs::Demand& demand, unsigned keys) {
  Keys root(demand, static_cast<int>(std::min<std::size_t>(keys, demand.classes.size())));
  Gecode::BAB<Keys> search(&root);
  std::optional<pkrs::Cost> least;
  for (std::unique_ptr<const Keys> found(search.next()); found; found.reset(search.next())) {
    least = static_cast<pkrs::Cost>(found->cost().val());
  }
  return least;
}

}  // namespace kpksim::test
