// The assignment with the least over-privilege, exactly: dynamic programming over sets of classes.
//
// The group of the first class that has no key yet is any set that has it, and what is left is a
// smaller problem of the same kind. Each group takes at least the first class there is, so that
// with j groups made only sets of the classes from the j-th on are left: of n classes about
// 3^(n-1) / 2 pairs of a set and its group are looked at, whatever the number of keys. (A search by
// Gecode, which tests hold this against, does not end on sixteen classes that are alike.)

#include <algorithm>
#include <limits>

#include "sim/pkrs/assignment_detail.h"

namespace kpksim::pkrs {
namespace {

using Set = std::uint32_t;  // of classes, a bit for each

constexpr Cost kForbidden = std::numeric_limits<Cost>::max();

Group members(Set set) {
  Group out;
  for (std::size_t i = 0; set >> i != 0; ++i) {
    if ((set >> i & 1) != 0) out.push_back(i);
  }
  return out;
}

class Partition {
 public:
  Partition(const Demand& demand, std::size_t keys)
      : classes_(demand.classes.size()),
        keys_(std::min(keys, classes_)),
        cost_(std::size_t{1} << classes_) {
    for (Set set = 1; set < cost_.size(); ++set) cost_[set] = cost_of_set(demand, set);
    least_.resize(keys_);
    for (std::size_t made = keys_; made-- > 1;) {
      least_[made].resize(cost_.size() >> made);
      for (Set rest = 0; rest < least_[made].size(); ++rest) {
        Set group = 0;
        least_[made][rest] = best(made, rest << made, group);
      }
    }
  }

  // No groups: kinds that cannot share need more keys.
  std::optional<std::vector<Group>> groups() const {
    std::vector<Group> out;
    Set rest = static_cast<Set>(cost_.size() - 1);
    for (std::size_t made = 0; rest != 0; ++made) {
      Set group = 0;
      if (best(made, rest, group) == kForbidden) return std::nullopt;
      out.push_back(members(group));
      rest &= ~group;
    }
    return out;
  }

 private:
  static Cost cost_of_set(const Demand& demand, Set set) {
    const Group group = members(set);
    for (const std::size_t i : group) {
      if (!may_share(demand, i, group[0])) return kForbidden;
    }
    return cost_of(demand, group);
  }

  // What `rest`, of classes from the `made`-th on, costs at least with the keys that are left; and
  // the group of its first class. Of equal ones the smallest: nothing is shared without need.
  Cost best(std::size_t made, Set rest, Set& group) const {
    group = rest;
    if (rest == 0) return 0;
    if (made + 1 == keys_) return cost_[rest];
    const Set first = rest & (~rest + 1), others = rest & ~first;
    Cost least = kForbidden;
    Set with = 0;  // each set of the others, upwards
    do {
      const Cost own = cost_[first | with];
      if (own < least) {
        const Cost behind = least_[made + 1][(others & ~with) >> (made + 1)];
        if (behind != kForbidden && own + behind < least) {
          least = own + behind;
          group = first | with;
        }
      }
      with = (with - others) & others;
    } while (with != 0);
    return least;
  }

  const std::size_t classes_, keys_;
  std::vector<Cost> cost_;                // by set: as one group
  std::vector<std::vector<Cost>> least_;  // by groups made, and by set of what is left
};

}  // namespace

std::optional<std::vector<Group>> optimal_groups(const Demand& demand, unsigned keys) {
  return Partition(demand, keys).groups();
}

}  // namespace kpksim::pkrs
